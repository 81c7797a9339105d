package kernelbuild

import (
	"fmt"
	"regexp"

	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/kernelbuild/kconfig"
)

// Facts are all that a plan is made from.
type Facts struct {
	Target  Target
	Builder Builder
	Options Options
	// Tree is the source tree, nil while it is not there.
	Tree *Tree
	// Config is the configuration to start from, nil where none was found.
	Config *kconfig.Config
}

// Target is the machine that the kernel is for.
type Target struct {
	Release      string `json:"release"`      // uname -r
	Architecture string `json:"architecture"` // dpkg --print-architecture
	Distribution string `json:"distribution"` // ID of os-release
	// Owner is absent where no package has the kernel.
	Owner opt.Value[Owner] `json:"owner,omitzero"`
	// ConfigPath is where the configuration was found, "" where it was not.
	ConfigPath  string `json:"config_path,omitempty"`
	DpkgVersion string `json:"dpkg_version"`
	// Initrd is what its initramfs-tools compress by, such as zstd; "" where it
	// has none, or nobody looked.
	Initrd string `json:"initrd,omitempty"`
	// InitramfsTools is their version, "" where it is not known.
	InitramfsTools string `json:"initramfs_tools,omitempty"`
}

// Builder is the machine that builds.
type Builder struct {
	Root      bool // whether the build would run as root
	CPUs      int
	Memory    units.Bytes // MemAvailable
	Folders   []Folder
	Compilers []Compiler
	// Installed are the packages that are there, as far as anything asks.
	Installed map[string]bool
	// Offers are the versions of a package that apt can get, by its name; nil
	// where apt was not asked.
	Offers map[string][]string
	// DpkgVersion decides how packages can be compressed.
	DpkgVersion string
	// Ccache tells that compilers can be asked through ccache.
	Ccache bool
}

// Folder is a place that the build fills.
type Folder struct {
	Path string      `json:"path"`
	Use  FolderUse   `json:"use"`
	Free units.Bytes `json:"free"`
	// Inodes are free ones; absent where the file system has no fixed number.
	Inodes opt.Value[int64] `json:"inodes,omitzero"`
	// Device tells folders of one file system, which share their space.
	Device string `json:"device"`
	// Writable tells whether the building user may write.
	Writable bool `json:"writable"`
}

// FolderUse is what goes into a folder.
type FolderUse string

// The uses. Packages land beside the tree; dpkg-deb compresses in Temporary.
const (
	ForTree      FolderUse = "source and objects"
	ForPackages  FolderUse = "packages"
	ForTemporary FolderUse = "temporary files"
)

// Compiler is a gcc that is installed.
type Compiler struct {
	Name    string `json:"name"`    // gcc-12
	Version string `json:"version"` // 12.2.0
}

// Options are what the user asks for.
type Options struct {
	Profile Profile
	// LocalVersion is the profile's suffix where it is absent.
	LocalVersion   opt.Value[string]
	PackageVersion string
	// Source is a tree, a tarball or a .dsc that the user names.
	Source string
	// SnapshotURL is an archive of old versions.
	SnapshotURL string
	KeepDebug   bool
	Localmod    bool
	// Jobs is how many compilers run at once; 0 leaves it to the plan.
	Jobs int
	// Compiler is the one to use, such as gcc-11; "" takes the first that suits.
	Compiler string
	// AnyCompiler leaves it to the probe whether the compiler will do.
	AnyCompiler bool
	// Compressor is for the packages, as dpkg-deb -Z names it; "" takes the
	// fastest that both machines know.
	Compressor string
	// MakeArgs are further variables for make, such as KCFLAGS=-g0; see MakeArg.
	MakeArgs []string
	// NoCcache leaves ccache out where it is installed.
	NoCcache bool
	// KeyExists tells which key files of the configuration are there.
	KeyExists func(string) bool
}

var makeArg = regexp.MustCompile(`^([A-Z][A-Z0-9_]*)=`)

// MakeArg tells whether a word is a variable that make may be given besides the
// plan's own.
func MakeArg(word string) error {
	m := makeArg.FindStringSubmatch(word)
	if m == nil {
		return fmt.Errorf("%q is no variable with its value: NAME=VALUE", word)
	}
	switch m[1] {
	case "LOCALVERSION", "KDEB_PKGVERSION", "KDEB_COMPRESS", "DPKG_DEB_COMPRESSOR_TYPE", "CC", "HOSTCC", "ARCH", "SRCARCH", "CROSS_COMPILE", "O",
		"KBUILD_OUTPUT", "MAKEFLAGS", "LSMOD", "KCONFIG_CONFIG", "INSTALL_MOD_PATH", "KBUILD_BUILD_TIMESTAMP":
		return fmt.Errorf("%s is the plan's own", m[1])
	}
	return nil
}
