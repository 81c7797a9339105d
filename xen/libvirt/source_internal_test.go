package libvirt

import (
	"errors"
	"io/fs"
	"testing"

	golibvirt "github.com/digitalocean/go-libvirt"

	"xtm/internal/cause"
	"xtm/xen"
)

func TestTranslations(t *testing.T) {
	for v, want := range map[uint64]xen.Version{
		4017000: {Major: 4, Minor: 17}, 4012004: {Major: 4, Minor: 12, Extra: ".4"}, 2: {}, 0: {},
	} {
		if got := version(v); got != want {
			t.Errorf("version %d is %+v, want %+v", v, got, want)
		}
	}
	for s, want := range map[golibvirt.DomainState]xen.State{
		golibvirt.DomainRunning: {Running: true}, golibvirt.DomainBlocked: {Blocked: true}, golibvirt.DomainPaused: {Paused: true},
		golibvirt.DomainShutoff: {Shutdown: true}, golibvirt.DomainCrashed: {Shutdown: true, Crashed: true}, golibvirt.DomainNostate: {},
	} {
		if got := stateOf(s); got != want {
			t.Errorf("state %d is %+v, want %+v", s, got, want)
		}
	}
	for s, want := range map[string]string{"linux": "pv", "xen": "pv", "xenpvh": "pvh", "hvm": "hvm", "exe": ""} {
		if got := typeOf(s); got != want {
			t.Errorf("type %s is %q, want %q", s, got, want)
		}
	}
	for code, want := range map[golibvirt.ErrorNumber]cause.Word{
		golibvirt.ErrNoConnect: cause.NotSupported, golibvirt.ErrAuthFailed: cause.NeedsRoot, golibvirt.ErrAccessDenied: cause.NeedsRoot,
		golibvirt.ErrInternalError: cause.Failed,
	} {
		if got := cause.Of(explain(golibvirt.Error{Code: uint32(code), Message: "x"})); got != want {
			t.Errorf("error %d is %s, want %s", code, got, want)
		}
	}
	if err := explain(fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if kib(1<<52).Has() || !kib(noLimit).Has() {
		t.Error("sizes that cannot be")
	}
}
