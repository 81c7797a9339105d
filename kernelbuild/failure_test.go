package kernelbuild

import (
	"strings"
	"testing"
)

// TestFirstFailure has what real builds print: make -j2 of Linux 3.13, 4.19 and
// 6.1 under gcc 12, dpkg-deb, and the kernel's killer of processes.
func TestFirstFailure(t *testing.T) {
	for _, tc := range []struct {
		name, log string
		line      int
		cure      string
	}{
		{
			"a key of the distribution", `  CC      certs/system_keyring.o
  CHK     certs/blacklist_hash_list
make[4]: *** No rule to make target 'debian/certs/debian-uefi-certs.pem', needed by 'certs/x509_certificate_list'.  Stop.
make[3]: *** [scripts/Makefile.build:500: certs] Error 2
make[3]: *** Waiting for unfinished jobs....
`, 3, "a key that only its distribution has",
		},
		{
			"3.13 under gcc 12", `  CC      kernel/bounds.s
In file included from include/linux/compiler.h:54,
                 from include/uapi/linux/stddef.h:1,
include/linux/compiler-gcc.h:103:1: fatal error: linux/compiler-gcc12.h: No such file or directory
compilation terminated.
make[1]: *** [/src/./Kbuild:35: kernel/bounds.s] Error 1
`, 4, "no compiler as new as this one",
		},
		{
			"4.19 under gcc 12", `  CC       /src/tools/objtool/str_error_r.o
In function 'xrealloc',
subcmd-util.h:56:23: error: pointer may be used after 'realloc' [-Werror=use-after-free]
   56 |                 ret = realloc(ptr, size);
cc1: all warnings being treated as errors
`, 3, "A warning of a newer compiler",
		},
		{
			"host programs under gcc 10", "  HOSTLD  scripts/dtc/dtc\n/usr/bin/ld: scripts/dtc/dtc-parser.tab.o:(.bss+0x10): multiple definition of `yylloc'; scripts/dtc/dtc-lexer.lex.o:(.bss+0x0): first defined here\n", 2, "-fno-common",
		},
		{
			"libelf", "  HOSTCC  scripts/sorttable.o\nmake[1]: *** [x] Error 1 (ignored)\n<stdin>:1:10: fatal error: libelf.h: No such file or directory\n", 3, "Install libelf-dev",
		},
		{
			"the disk", "  LD      vmlinux.o\nld: final link failed: No space left on device\nmake[2]: *** [scripts/Makefile.vmlinux:35: vmlinux] Error 1\n", 2, "The disk is full",
		},
		{
			"memory", "  CC      fs/ext4/inode.o\ngcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n", 2, "Memory ran out",
		},
		{
			"the cause after its symptom", "make[1]: *** [debian/rules:7: binary-arch] Error 255\nbash: bison: command not found\n", 1, "Install the program",
		},
		{"a name", "dpkg-gencontrol: error: illegal package name 'linux-image-6.1.176-TMEM': character 'T' not allowed\n", 1, "Choose another --localversion"},
		{"nothing wrong", "  CC      lib/error.o\n  CC      lib/errname.o\nfatal: not a git repository (or any of the parent directories): .git\n", 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, found, err := FirstFailure(strings.NewReader(tc.log))
			if err != nil || found != (tc.line > 0) || f.Line != tc.line || !strings.Contains(f.Cure, tc.cure) {
				t.Fatalf("%+v, %v", f, err)
			}
			if lines := strings.Split(tc.log, "\n"); found && f.Text != lines[tc.line-1] {
				t.Errorf("line %d is not %q", tc.line, f.Text)
			}
		})
	}
}

// FuzzFirstFailure reads what a hostile tree may print.
func FuzzFirstFailure(f *testing.F) {
	f.Add("a\nb\nc\nd\ne\nf\ng: error: x\nh\n")
	f.Add(strings.Repeat("x", 100_000) + "\nerror:")
	f.Fuzz(func(t *testing.T, log string) {
		got, found, err := FirstFailure(strings.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Above) > around || len(got.Below) > around || found && (got.Line < 1 || got.Line-len(got.Above) < 1) {
			t.Errorf("%+v", got)
		}
	})
}
