package tune

import (
	"path/filepath"
	"strings"
	"testing"

	"xtm/guest"
	"xtm/internal/crashtest"
	"xtm/internal/hostfs"
)

// setInterval is what tune guest set selfballoon_interval=10 does, until the next
// boot.
func setInterval(root hostfs.Root) error {
	p, err := PlanGuest(guest.Read(root, nil), map[string]string{"selfballoon_interval": "10"}, yes)
	if err != nil {
		return err
	}
	_, err = ApplyGuest(root, p, false)
	return err
}

// interval is what is set, and whether the 5 of before can be had back.
func interval(t *testing.T, root hostfs.Root) (now uint64, undo bool) {
	t.Helper()
	const name = "selfballoon/selfballoon_interval"
	b, err := guest.ReadBalloon(root)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := readGuestRecord(root)
	if err != nil {
		t.Fatal(err)
	}
	return b.Settings[name], rec.Before[name] == 5
}

// The undo lasts before anything is set; where it cannot be kept, nothing is.
func TestGuestSetKeepsItsUndoFirst(t *testing.T) {
	root := onDisk(t, loaded(t, "web1"))
	points := crashtest.Points(t, "guest-set", []string{string(root)})
	renamed, synced, set := -1, -1, -1
	for i, p := range points {
		switch {
		case p.Call == "renameat" && strings.Contains(p.Line, filepath.Base(guestRecordFile)):
			renamed = i
		case p.Call == "fsync" && renamed >= 0 && set < 0:
			synced = i
		case p.Call == "openat" && strings.Contains(p.Line, "selfballoon_interval") && strings.Contains(p.Line, "O_WRONLY"):
			set = i
		}
	}
	if renamed < 0 || synced < renamed || set < synced {
		t.Fatalf("the record's name is at %d, synchronised at %d, and the tunable is written at %d: %+v", renamed, synced, set, points)
	}
	tried := 0
	for _, p := range points[:set] {
		root := onDisk(t, loaded(t, "web1"))
		log, stderr := crashtest.Trace(t, "guest-set", []string{string(root)}, p.Fail("EIO"))
		if !crashtest.Failed(log) {
			continue // the runtime had fewer calls of its own this time
		}
		tried++
		// The removal of a temporary folder may fail.
		if now, undo := interval(t, root); now != 5 && (!undo || len(stderr) > 0) {
			t.Errorf("EIO at %s: it is %d, %s", p.Line, now, stderr)
		}
	}
	if tried < 10 {
		t.Errorf("only %d points", tried)
	}
}

// A small guest kernel, 4.19 without CONFIG_FILE_LOCKING, cannot keep the undo.
func TestGuestSetWithoutFileLocks(t *testing.T) {
	root := onDisk(t, loaded(t, "web1"))
	log, stderr := crashtest.Trace(t, "guest-set", []string{string(root)}, crashtest.Point{Call: "flock", N: 1}.Fail("ENOSYS"))
	const want = "replace /var/lib/xtm/tune-guest.json: flock: this kernel has no file locks (CONFIG_FILE_LOCKING): not supported here\n"
	if !crashtest.Failed(log) || string(stderr) != want {
		t.Errorf("it says %q\n%s", stderr, log)
	}
	if now, _ := interval(t, root); now != 5 {
		t.Errorf("it is set to %d", now)
	}
}
