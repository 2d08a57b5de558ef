package cli

import (
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/wire"
)

// bundleOptions say which files share archives.
type bundleOptions struct {
	Below givenSize
	Size  givenSize
	None  bool
}

// A givenSize is a size, and whether the user gave it.
type givenSize struct {
	byteSize
	given bool
}

// Set reads a size.
func (g *givenSize) Set(s string) error {
	g.given = true
	return g.byteSize.Set(s)
}

func (o *bundleOptions) addFlags(f *pflag.FlagSet) {
	o.Below.byteSize, o.Size.byteSize = syncer.DefaultBundleBelow, syncer.DefaultBundleSize
	f.Var(&o.Below, "bundle-below", "put files below `BYTES` into bundles, such as 512K or 8M")
	f.Var(&o.Size, "bundle-size", "make bundles of `BYTES`, such as 64M")
	f.BoolVar(&o.None, "no-bundle", false, "give each file an archive of its own")
}

// check finds what makes no sense.
func (o *bundleOptions) check() error {
	switch {
	case o.None:
	case o.Below.byteSize < 1:
		return wrongUsage("sync", "--bundle-below has to be 1 byte or more; to have no bundles, give --no-bundle")
	case o.Size.byteSize > maxBundle:
		return wrongUsage("sync", "--bundle-size is more than 1 GiB: each bundle lies on this disk until it is stored")
	case o.Size.given || o.Below.byteSize > maxBundle:
		return o.checkFit(int64(o.Below.byteSize), int64(o.Size.byteSize))
	}
	return nil
}

// checkFit refuses bundles in which not all has room that is to be in one.
func (o *bundleOptions) checkFit(below, size int64) error {
	if size < below {
		return wrongUsage("sync", "--bundle-size is less than --bundle-below, so that not one file would fit")
	}
	return nil
}

// maxBundle bounds the space that bundles take on the way, in bytes.
const maxBundle = 1 << 30

// bundling is what the syncer is told, where what the user didn't say goes by the
// storage class of what is stored in S3; empty: it is stored elsewhere.
func (o *bundleOptions) bundling(env wire.Env, class string) (b syncer.Bundling, err error) {
	// Without bundles, too, what a killed run left in the spool is swept.
	b.Spool, err = wire.SpoolDir(env)
	if o.None || err != nil {
		return b, err
	}
	b.Below, b.Size = syncer.DefaultBundling(class)
	switch {
	case o.Size.given && o.Below.given:
		b.Below, b.Size = int64(o.Below.byteSize), int64(o.Size.byteSize)
	case o.Size.given:
		b.Size = int64(o.Size.byteSize)
		b.Below = min(b.Below, b.Size)
	case o.Below.given:
		b.Below = int64(o.Below.byteSize)
	}
	return b, o.checkFit(b.Below, b.Size)
}
