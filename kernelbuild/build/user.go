package build

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"xtm/internal/run"
)

// Become makes the whole process another user's, for good: a tree's makefiles
// can do what they like, and shall not do it as root.
func Become(uid, gid int) error {
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("become user %d: %w", uid, err)
	}
	return nil
}

// Surround gives every program these variables, too.
func Surround(f run.Func, env ...string) run.Func {
	return func(ctx context.Context, c run.Cmd) (run.Result, error) {
		c.Env = append(slices.Clone(env), c.Env...)
		return f(ctx, c)
	}
}
