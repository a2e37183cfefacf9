package limit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A brittle store fails when told to.
type brittle struct {
	Store
	err   error
	calls int
}

func (b *brittle) Reserve(ctx context.Context, charges []Charge) (Outcome, error) {
	if b.calls++; b.err != nil {
		return Outcome{}, b.err
	}
	return b.Store.Reserve(ctx, charges)
}

func (b *brittle) Settle(ctx context.Context, adjustments []Adjustment) error {
	if b.calls++; b.err != nil {
		return b.err
	}
	return b.Store.Settle(ctx, adjustments)
}

func newFallback(onError OnError) (f *Fallback, primary *brittle, clock *fakeClock, said *[]string) {
	clock, said = newClock(), &[]string{}
	primary = &brittle{Store: NewMemory(MemoryOptions{Clock: clock.Now})}
	f = &Fallback{
		Primary: primary, Local: NewMemory(MemoryOptions{Clock: clock.Now}), OnError: onError, Clock: clock.Now,
		OnChange: func(up bool, err error) { *said = append(*said, fmt.Sprint(up, " ", err)) },
	}
	return f, primary, clock, said
}

func away() error { return fmt.Errorf("%w: it sleeps", ErrUnavailable) }

func TestFallbackGoesOnLocally(t *testing.T) {
	f, primary, clock, said := newFallback(UseLocal)
	charge := per("k", FixedWindow, 1, time.Minute, 1)
	require.True(t, reserve(t, f, charge).Allowed)
	require.False(t, reserve(t, f, charge).Allowed)

	primary.err, primary.calls = away(), 0
	out := reserve(t, f, charge)
	require.True(t, out.Allowed)
	require.True(t, out.Local)
	require.False(t, reserve(t, f, charge).Allowed)
	require.Equal(t, 1, primary.calls, "it is not asked again yet")
	clock.Advance(DefaultRetry)
	require.False(t, reserve(t, f, charge).Allowed)
	require.Equal(t, 2, primary.calls)

	primary.err = nil
	require.True(t, reserve(t, f).Local, "not asked again yet")
	clock.Advance(DefaultRetry)
	require.False(t, reserve(t, f, charge).Local)
	require.Equal(t, []string{"false the limits' store cannot be reached: it sleeps", "true <nil>"}, *said)

	settle(t, f, out, charge, 0)
	require.Equal(t, uint64(1), left(t, f.Local, charge), "settled where it was reserved")
	require.Zero(t, left(t, f.Primary, charge))
}

func TestFallbackRefuses(t *testing.T) {
	f, primary, _, said := newFallback(Refuse)
	primary.err = away()
	for range 3 {
		_, err := f.Reserve(t.Context(), nil)
		require.ErrorIs(t, err, ErrUnavailable)
	}
	require.Equal(t, 1, primary.calls)
	require.Len(t, *said, 1)
	require.ErrorIs(t, f.Settle(t.Context(), []Adjustment{{}}), ErrUnavailable)
}

// What is wrong with a request says nothing of the store.
func TestFallbackPassesMistakesOn(t *testing.T) {
	f, primary, _, said := newFallback(UseLocal)
	primary.err = errors.New("a mistake")
	_, err := f.Reserve(t.Context(), nil)
	require.EqualError(t, err, "a mistake")
	require.Empty(t, *said)
}
