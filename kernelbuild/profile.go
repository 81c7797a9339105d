package kernelbuild

import (
	"fmt"

	"xtm/internal/cause"
	"xtm/kernelbuild/kconfig"
)

// Profile is a set of wishes for a kernel, with the suffix of its release.
type Profile struct {
	Name     string            `json:"name"`
	Suffix   string            `json:"suffix"`
	Purpose  string            `json:"purpose"`
	Requests []kconfig.Request `json:"requests"`
}

// Profiles are the names that ProfileNamed knows.
func Profiles() []string { return []string{"tmem", "xen-guest"} }

// ProfileNamed returns a profile that comes with xtm.
func ProfileNamed(name string) (Profile, error) {
	switch name {
	case "tmem":
		return Profile{
			Name: "tmem", Suffix: "-tmem", Purpose: "a guest or Dom0 that uses Transcendent Memory",
			Requests: []kconfig.Request{
				{Symbol: "CLEANCACHE", Value: "y", Why: "clean pages go to ephemeral pools"},
				{Symbol: "FRONTSWAP", Value: "y", Why: "swapped pages go to persistent pools"},
				{Symbol: "ZSWAP", Value: "n", Why: "zswap takes swapped pages before tmem does"},
				{Symbol: "XEN_SELFBALLOONING", Value: "y", Why: "the guest gives back memory by itself"},
				{Symbol: "XEN_TMEM", Value: "m", Computed: true, Why: "the module tmem itself"},
			},
		}, nil
	case "xen-guest":
		return Profile{
			Name: "xen-guest", Suffix: "-xen", Purpose: "a guest whose memory pressure can be measured, with zswap",
			Requests: []kconfig.Request{
				{Symbol: "HYPERVISOR_GUEST", Value: "y"},
				{Symbol: "PARAVIRT", Value: "y"},
				{Symbol: "XEN", Value: "y"},
				{Symbol: "XEN_BLKDEV_FRONTEND", Value: "m", AtLeast: true, Why: "disks"},
				{Symbol: "XEN_NETDEV_FRONTEND", Value: "m", AtLeast: true, Why: "network"},
				{Symbol: "HVC_XEN", Value: "y", Why: "console"},
				{Symbol: "XEN_BALLOON", Value: "y", Why: "memory can be taken and given back"},
				{Symbol: "SWAP", Value: "y"},
				{Symbol: "CRYPTO", Value: "y", Why: "zswap compresses with it"},
				{Symbol: "ZSWAP", Value: "y", Why: "swapped pages are compressed in memory"},
				{Symbol: "PSI", Value: "y", Why: "tells how long tasks wait for memory"},
			},
		}, nil
	default:
		return Profile{}, fmt.Errorf("find profile %q: there are tmem and xen-guest: %w", name, cause.ErrNoData)
	}
}

// FragmentProfile makes a profile of a user's fragment of a .config: its
// settings become requests, by symbol.
func FragmentProfile(name, suffix string, fragment *kconfig.Config) Profile {
	p := Profile{Name: name, Suffix: suffix, Purpose: "the settings of " + name}
	for _, symbol := range fragment.Names() {
		value, _ := fragment.Get(symbol)
		p.Requests = append(p.Requests, kconfig.Request{Symbol: symbol, Value: value})
	}
	return p
}
