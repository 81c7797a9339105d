package build

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"xtm/internal/cause"
	"xtm/kernelbuild"
)

// Bounds of what an archive of old versions may send.
const (
	maxAnswer  = 1 << 20
	maxArchive = 1 << 30
)

// errMismatch means that a file is not what its list says.
var errMismatch = errors.New("the checksum differs")

// snapshotFile is a file of a source package, as the archive lists it.
type snapshotFile struct {
	SHA1 string
	Name string
	Size int64
}

var (
	sha1Hex    = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sourceFile = regexp.MustCompile(`^linux[a-z0-9.+-]*_[A-Za-z0-9.+~_-]{1,120}$`)
)

// parseSnapshot reads the answer to /mr/package/linux/VERSION/srcfiles?fileinfo=1.
//
//	{"fileinfo":{"8f6d…":[{"archive_name":"debian","name":"linux_4.19.67-2.dsc","size":191128,…}]},
//	 "package":"linux","result":[{"hash":"8f6d…"}],"version":"4.19.67-2"}
func parseSnapshot(b []byte) ([]snapshotFile, error) {
	var answer struct {
		Result   []struct{ Hash string }
		Fileinfo map[string][]struct {
			Name string
			Size int64
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("read list of files: %w", err)
	}
	var out []snapshotFile
	for _, r := range answer.Result {
		infos := answer.Fileinfo[r.Hash]
		if !sha1Hex.MatchString(r.Hash) || len(infos) == 0 || !sourceFile.MatchString(infos[0].Name) || infos[0].Size <= 0 || infos[0].Size > maxArchive {
			return nil, fmt.Errorf("read list of files: %q is not described", r.Hash[:min(len(r.Hash), 40)])
		}
		out = append(out, snapshotFile{r.Hash, infos[0].Name, infos[0].Size})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read list of files: it is empty: %w", cause.ErrNoData)
	}
	return out, nil
}

// snapshot fetches a version that left the distribution's archive. The files are
// held against the .dsc, and that against the archive's own list.
func (s *session) snapshot(ctx context.Context, r kernelbuild.Route) error {
	b, err := s.get(ctx, r.What, maxAnswer)
	if err != nil {
		return err
	}
	files, err := parseSnapshot(b)
	if err != nil {
		return err
	}
	base, _, _ := strings.Cut(r.What, "/mr/package/")
	var dsc []byte
	for _, f := range files {
		if err := s.download(ctx, base+"/file/"+f.SHA1, f); err != nil {
			return err
		}
		if strings.HasSuffix(f.Name, ".dsc") {
			if dsc, err = os.ReadFile(s.path("fetch", f.Name)); err != nil {
				return err
			}
		}
	}
	want := parseDsc(dsc)
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".dsc") {
			continue
		}
		got, err := fileHash(s.path("fetch", f.Name))
		if err != nil {
			return err
		}
		if want[f.Name] != got {
			return errors.Join(fmt.Errorf("check %s against the .dsc: %w", f.Name, errMismatch), os.Remove(s.path("fetch", f.Name)))
		}
	}
	return s.extractSource(ctx)
}

// parseDsc reads the checksums of a .dsc.
//
//	Checksums-Sha256:
//	 d85f…50 107551896 linux_4.19.67.orig.tar.xz
func parseDsc(b []byte) map[string]string {
	out := map[string]string{}
	inside := false
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, " ") {
			inside = strings.TrimSpace(line) == "Checksums-Sha256:"
			continue
		}
		if f := strings.Fields(line); inside && len(f) == 3 {
			out[f[2]] = f[0]
		}
	}
	return out
}

// get fetches something small.
func (s *session) get(ctx context.Context, url string, limit int64) ([]byte, error) {
	body, err := s.request(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", url, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("fetch %s: more than %d bytes", url, limit)
	}
	return b, nil
}

// request asks for an address, and again where the archive asks to wait: it limits
// how much anyone may fetch.
func (s *session) request(ctx context.Context, url string) (io.ReadCloser, error) {
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	for try := 1; ; try++ {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		a, err := client.Do(q)
		if err == nil && a.StatusCode == http.StatusOK {
			return a.Body, nil
		}
		again := err == nil && (a.StatusCode == http.StatusTooManyRequests || a.StatusCode >= 500)
		if err == nil {
			_ = a.Body.Close() // it says nothing that is of use
			err = fmt.Errorf("fetch %s: %s", url, a.Status)
		}
		if !again || try == 3 {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * s.patience()):
		}
	}
}

// patience is how long to wait before asking again.
func (s *session) patience() time.Duration {
	if s.Patience > 0 {
		return s.Patience
	}
	return 20 * time.Second
}

// download fetches a file unless an earlier run did. What does not have its
// checksum is removed.
func (s *session) download(ctx context.Context, url string, f snapshotFile) error {
	path := s.path("fetch", f.Name)
	if got, err := fileSum(sha1.New(), path); err == nil && got == f.SHA1 {
		return nil
	}
	body, err := s.request(ctx, url)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // it was only read
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	h := sha1.New() // the archive names files by it; the .dsc has SHA-256
	_, err = io.Copy(io.MultiWriter(out, h), io.LimitReader(body, f.Size+1))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil && hex.EncodeToString(h.Sum(nil)) != f.SHA1 {
		err = fmt.Errorf("fetch %s: %w", f.Name, errMismatch)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// fileHash is the SHA-256 of a file.
func fileHash(path string) (string, error) { return fileSum(sha256.New(), path) }

func fileSum(h hash.Hash, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}
