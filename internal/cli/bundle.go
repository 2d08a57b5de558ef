package cli

import (
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/wire"
)

// bundleOptions say which files share archives.
type bundleOptions struct {
	Below byteSize
	Size  byteSize
	None  bool
}

func (o *bundleOptions) addFlags(f *pflag.FlagSet) {
	o.Below, o.Size = syncer.DefaultBundleBelow, syncer.DefaultBundleSize
	f.Var(&o.Below, "bundle-below", "put files below `BYTES` into bundles, such as 512K or 8M")
	f.Var(&o.Size, "bundle-size", "make bundles of `BYTES`, such as 64M")
	f.BoolVar(&o.None, "no-bundle", false, "give each file an archive of its own")
}

// check finds what makes no sense.
func (o *bundleOptions) check() error {
	switch {
	case o.None:
	case o.Below < 1:
		return wrongUsage("sync", "--bundle-below has to be 1 byte or more; to have no bundles, give --no-bundle")
	case o.Size < o.Below:
		return wrongUsage("sync", "--bundle-size is less than --bundle-below, so that not one file would fit")
	case o.Size > maxBundle:
		return wrongUsage("sync", "--bundle-size is more than 1 GiB: each bundle lies on this disk until it is stored")
	}
	return nil
}

// maxBundle bounds the space that bundles take on the way, in bytes.
const maxBundle = 1 << 30

// bundling is what the syncer is told.
func (o *bundleOptions) bundling(env wire.Env) (b syncer.Bundling, err error) {
	// Without bundles, too, what a killed run left in the spool is swept.
	b.Spool, err = wire.SpoolDir(env)
	if !o.None {
		b.Below, b.Size = int64(o.Below), int64(o.Size)
	}
	return b, err
}
