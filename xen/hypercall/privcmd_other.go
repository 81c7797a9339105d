//go:build !amd64

package hypercall

import (
	"context"
	"fmt"

	"xtm/internal/cause"
)

// Privcmd issues no hypercalls in this build: the structures are those of
// x86-64, and a 32-bit process on it would need others.
type Privcmd struct{}

var _ Caller = (*Privcmd)(nil)

// Call is cause.ErrNotSupported.
func (*Privcmd) Call(context.Context, *Request) (Answer, error) {
	return Answer{}, fmt.Errorf("issue a hypercall: this xtm is not the amd64 build: %w", cause.ErrNotSupported)
}

// Close does nothing.
func (*Privcmd) Close() error { return nil }
