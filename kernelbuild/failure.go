package kernelbuild

import (
	"bufio"
	"errors"
	"io"
	"regexp"
	"strings"
)

// Failure is the first error in the log of a build. What make prints last tells
// only that something failed; with several jobs the cause is far above.
type Failure struct {
	Line  int      `json:"line"`
	Text  string   `json:"text"`
	Above []string `json:"above"` // up to five lines before it
	Below []string `json:"below"` // up to five lines after it
	Cure  string   `json:"cure"`  // "" where none is known
}

const (
	around     = 5
	maxLogLine = 64 << 10
)

var (
	failing = regexp.MustCompile(`error:|: [Ee]rror [0-9]+|\] Error [0-9]+|No rule to make target|undefined reference|multiple definition|` +
		`can't open file|No space left on device|[Kk]illed|fatal:|: (command )?not found$|Unmet build dependencies|no binary artifacts`)
	harmless = regexp.MustCompile(`\(ignored\)|fatal: not a git repository`)
)

// FirstFailure finds the first error of a log; false where it shows none.
//
// make -j2 bindeb-pkg of Linux 6.1 with Debian's own key in the configuration:
//
//	  CC      certs/system_keyring.o
//	make[4]: *** No rule to make target 'debian/certs/debian-uefi-certs.pem', needed by 'certs/x509_certificate_list'.  Stop.
//	make[3]: *** [scripts/Makefile.build:500: certs] Error 2
func FirstFailure(log io.Reader) (Failure, bool, error) {
	var f Failure
	var above []string
	lines := bufio.NewReaderSize(log, maxLogLine)
	for n := 1; ; n++ {
		b, err := lines.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of such a line tells nothing
			_, err = lines.ReadSlice('\n')
		}
		text := strings.TrimRight(string(b), "\r\n")
		switch {
		case f.Line > 0 && len(b) > 0:
			f.Below = append(f.Below, text)
		case failing.MatchString(text) && !harmless.MatchString(text):
			f.Line, f.Text, f.Above, f.Cure = n, text, above, cureFor(text)
		case len(above) == around:
			above = append(above[1:], text)
		default:
			above = append(above, text)
		}
		if errors.Is(err, io.EOF) || len(f.Below) == around {
			break
		} else if err != nil {
			return Failure{}, false, err
		}
	}
	for _, text := range f.Below { // the cause may follow its symptom
		if f.Cure == "" && failing.MatchString(text) {
			f.Cure = cureFor(text)
		}
	}
	return f, f.Line > 0, nil
}

// cures are ordered: the first whose pattern fits is given. Origin: what each
// tree was seen to print, Linux 3.13 to 7.2 under gcc 12.
var cures = []struct {
	pattern *regexp.Regexp
	cure    string
}{
	{regexp.MustCompile(`No space left on device`), "The disk is full. Free space and run the same command again: it goes on where it stopped."},
	{regexp.MustCompile(`certs/|\.pem'`), "The configuration names a key that only its distribution has. Set SYSTEM_TRUSTED_KEYS and SYSTEM_REVOCATION_KEYS to \"\" in the fragment."},
	{regexp.MustCompile(`compiler-gcc[0-9]+\.h`), "This kernel knows no compiler as new as this one. Build in a Debian of its own age: --chroot."},
	{regexp.MustCompile(`does not support PIC mode|-fPIC|relocation R_X86_64`), "The compiler makes position independent code by itself, which this kernel does not expect. Build in a Debian of its own age: --chroot."},
	{regexp.MustCompile(`multiple definition of`), "The compiler no longer merges variables that are defined twice (-fno-common). Build in a Debian of its own age: --chroot."},
	{regexp.MustCompile(`-Werror`), "A warning of a newer compiler is taken for an error. Build in a Debian of the kernel's own age: --chroot."},
	{regexp.MustCompile(`cannot use keyword '(false|true|bool)'|'bool' cannot be defined`), "The compiler takes C23 for granted. Build with gcc 14 or older, or in an older Debian: --chroot."},
	{regexp.MustCompile(`pahole|BTF:? .*not available`), "Install pahole, or leave debug information out."},
	{regexp.MustCompile(`gelf\.h|libelf`), "Install libelf-dev."},
	{regexp.MustCompile(`openssl/|ssl/`), "Install libssl-dev."},
	{regexp.MustCompile(`Unmet build dependencies|no binary artifacts|dh_[a-z]+|debhelper`), "Install debhelper, and what else the line names."},
	{regexp.MustCompile(`(bison|flex|bc|rsync|cpio|zstd|lz4|kmod|depmod|openssl|python3|perl)(: command)?:? not found|[Cc]annot (run|find) (bison|flex|bc)`), "Install the program that it names."},
	{regexp.MustCompile(`[Kk]illed|out of memory|virtual memory exhausted|Cannot allocate memory`), "Memory ran out. Run it again with fewer jobs, such as --jobs 1, or add swap: it goes on where it stopped."},
	{regexp.MustCompile(`illegal package name|has bad syntax|version number`), "dpkg refuses the name or the version. Choose another --localversion or --package-version."},
	{regexp.MustCompile(`exceeds 64 characters`), "The release is too long. Choose a shorter --localversion."},
	{regexp.MustCompile(`source tree is not clean`), "The tree holds objects of a build in it. Run make mrproper there, or name another."},
	{regexp.MustCompile(`can't open file ".*Kconfig`), "The tree is not whole. Fetch it again, or name another with --source."},
	{regexp.MustCompile(`Permission denied`), "The building user may not write or run what the line names."},
}

func cureFor(text string) string {
	for _, c := range cures {
		if c.pattern.MatchString(text) {
			return c.cure
		}
	}
	return ""
}
