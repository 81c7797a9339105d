// Package role tells which side of Xen a machine is: Dom0, a guest, or none.
package role

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"xtm/internal/cause"
	"xtm/internal/hostfs"
)

// Role is a side of Xen.
type Role string

// The sides. None is a machine that does not run under Xen.
const (
	Host  Role = "host"
	Guest Role = "guest"
	None  Role = "none"
)

// Detect looks at /proc/xen/capabilities, which holds "control_d" in Dom0 and
// is empty in guests (Linux drivers/xen/xenfs/super.c), and where xenfs is not
// mounted at /sys/hypervisor: type is "xen", and uuid is all zeroes in Dom0. The
// sentence says what was seen. The error is set where that could not be told.
func Detect(files hostfs.Files) (Role, string, error) {
	b, err := files.ReadFile("/proc/xen/capabilities")
	switch {
	case err == nil && strings.Contains(string(b), "control_d"):
		return Host, "/proc/xen/capabilities has control_d", nil
	case err == nil:
		return Guest, "/proc/xen/capabilities has no control_d", nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, cause.ErrNoData):
		return "", "", err
	}
	b, err = files.ReadFile("/sys/hypervisor/type")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, cause.ErrNoData):
		return None, "there is neither /proc/xen/capabilities nor /sys/hypervisor/type", nil
	case err != nil:
		return "", "", err
	case strings.TrimSpace(string(b)) != "xen":
		return None, fmt.Sprintf("/sys/hypervisor/type is %.20q", strings.TrimSpace(string(b))), nil
	}
	b, err = files.ReadFile("/sys/hypervisor/uuid")
	if err != nil {
		return "", "", fmt.Errorf("tell Dom0 from a guest: %w", err)
	}
	if id := strings.TrimSpace(string(b)); strings.Trim(id, "0-") != "" {
		return Guest, fmt.Sprintf("/sys/hypervisor/uuid is %.40q, and Dom0's is all zeroes", id), nil
	}
	return Host, "/sys/hypervisor/uuid is all zeroes", nil
}
