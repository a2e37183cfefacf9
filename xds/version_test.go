package xds_test

import (
	"testing"

	"tollgate/xds"
)

func TestTooOld(t *testing.T) {
	t.Parallel()
	for version, want := range map[[2]uint32]bool{
		{0, 99}: true, {1, 39}: true, {1, 40}: false, {1, 41}: false, {2, 0}: false,
	} {
		if got := xds.TooOld(version[0], version[1]); got != want {
			t.Errorf("%d.%d: too old is %v", version[0], version[1], got)
		}
	}
}
