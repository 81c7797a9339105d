package role

import (
	"testing"
	"testing/fstest"

	"xtm/internal/hostfs"
)

func TestDetect(t *testing.T) {
	const caps, kind, uuid = "proc/xen/capabilities", "sys/hypervisor/type", "sys/hypervisor/uuid"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Role
		fails bool
	}{
		{"Dom0 of Xen 4.12", map[string]string{caps: "control_d\n", kind: "xen\n"}, Host, false},
		{"guest of Xen 4.12", map[string]string{caps: "", kind: "xen\n"}, Guest, false},
		{"Dom0 without xenfs", map[string]string{kind: "xen\n", uuid: "00000000-0000-0000-0000-000000000000\n"}, Host, false},
		{"guest without xenfs", map[string]string{kind: "xen\n", uuid: "1d9f7584-e679-11f1-971d-5fe415631a83\n"}, Guest, false},
		{"bare Linux", nil, None, false},
		{"another hypervisor", map[string]string{kind: "s390\n"}, None, false},
		{"Xen without a uuid", map[string]string{kind: "xen\n"}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fstest.MapFS{}
			for path, text := range tt.files {
				m[path] = &fstest.MapFile{Data: []byte(text)}
			}
			got, why, err := Detect(hostfs.FromFS(m))
			if got != tt.want || (err != nil) != tt.fails || (why == "") != tt.fails {
				t.Errorf("%q, %q, %v; want %q", got, why, err, tt.want)
			}
		})
	}
}
