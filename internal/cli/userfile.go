package cli

import (
	"fmt"
	"io"
	"os"

	"xtm/internal/hostfs"
)

// readFile reads a file that the user named. Unlike files of the host it lies
// where the user stands, whatever --root is.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, hostfs.MaxFile+1))
	if err == nil && len(b) > hostfs.MaxFile {
		err = fmt.Errorf("read %s: more than %d bytes: %w", path, hostfs.MaxFile, hostfs.ErrTooLarge)
	}
	return b, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil || !os.IsNotExist(err)
}
