package history

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// writerFile is the variable that makes the test program a writer.
const writerFile = "XTM_TEST_HISTORY_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerFile); path != "" {
		if err := write(path); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// write appends snapshots for ever and prints how many there are after each.
// Every third one closes an hour.
func write(path string) error {
	ctx := context.Background()
	db, err := Open(ctx, path, Options{Say: func(s string) { fmt.Println("said:", s) }})
	if err != nil {
		return err
	}
	info, err := db.Info(ctx)
	if err != nil {
		return err
	}
	m := newHost(2, 30, 20*time.Minute)
	m.now = begin.Add(time.Duration(info.Recorded) * m.step)
	for n := info.Recorded + 1; ; n++ {
		if err := db.Append(ctx, m.tick()); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestKill kills a writer at any moment: the file opens, is sound, and has
// every snapshot that was said to be there.
func TestKill(t *testing.T) {
	kills := 30
	if os.Getenv("XTM_TEST_NIGHTLY") == "1" {
		kills = 200
	}
	path := filepath.Join(t.TempDir(), "history.db")
	random := rand.New(rand.NewPCG(4, 4))
	said, missing := int64(0), 0
	for i := range kills {
		said = max(said, killOne(t, path, 1+random.IntN(6), time.Duration(random.IntN(8_000))*time.Microsecond))
		db, err := Open(t.Context(), path, Options{Say: func(s string) { t.Errorf("kill %d: %s", i, s) }})
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		problems, err := db.Check(t.Context())
		if err != nil || len(problems) > 0 {
			t.Fatalf("kill %d: %v %q", i, err, problems)
		}
		r, err := db.Range(t.Context(), Query{From: begin, To: begin.Add(365 * 24 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		// Written and not yet said is well; said and not there is not.
		switch n := int64(len(r.Host)); {
		case n < said || n > said+1:
			t.Fatalf("kill %d: %d snapshots are there, %d were said to be", i, n, said)
		case n == said:
			missing++
		default:
			said = n
		}
		if len(r.Gaps) > 0 {
			t.Errorf("kill %d: gaps %v", i, r.Gaps)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d snapshots; %d times the one being written was lost", kills, said, missing)
}

// killOne starts a writer, lets it write some snapshots and a while more, and
// returns the last number that it printed.
func killOne(t *testing.T, path string, snapshots int, more time.Duration) int64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), writerFile+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last := int64(0)
	for n := 0; lines.Scan(); n++ {
		if last, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
			t.Fatalf("the writer: %s", lines.Text())
		}
		if n == snapshots {
			time.AfterFunc(more, func() { cmd.Process.Kill() })
		}
	}
	cmd.Wait() // it was killed
	return last
}
