package cli

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/transfer"
)

// A byteSize is a number of bytes as users write it: 500K, 2M, 1.5G, with or
// without iB. Units are powers of 1,024. It is a pflag.Value.
type byteSize int64

// Set reads a size.
func (b *byteSize) Set(s string) error {
	n, err := config.ParseBytes(s)
	*b = byteSize(n)
	return err
}

// String is empty for 0, so that help shows no default.
func (b *byteSize) String() string {
	n := int64(*b)
	switch {
	case n == 0:
		return ""
	case n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "M"
	}
	return strconv.FormatInt(n, 10)
}

// Type names the value in help.
func (b *byteSize) Type() string { return "bytes" }

// A partSize is a part size in MiB, from 1 to 5120; its value is in bytes. Vaults
// take powers of two only, which the engine sees to. It is a pflag.Value.
type partSize int64

// Set reads a number of MiB.
func (p *partSize) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n < 1 || n > 5120 {
		return fmt.Errorf("%q is no part size: it is a number of MiB, in vaults a power of two from 1 to 4096, in S3 any from 5 to 5120", s)
	}
	*p = partSize(n << 20)
	return nil
}

// String gives the number of MiB.
func (p *partSize) String() string {
	if *p == 0 {
		return strconv.Itoa(transfer.DefaultPartSize >> 20)
	}
	return strconv.FormatInt(int64(*p)>>20, 10)
}

// checkIn gives Usage where a store with these traits takes no parts of this size.
func (p *partSize) checkIn(tr firn.Traits) error {
	if *p == 0 {
		return nil
	}
	return transfer.CheckPartSizeIn(int64(*p), tr)
}

// Type names the value in help.
func (p *partSize) Type() string { return "MiB" }

// A count is a whole number of at least 1. It is a pflag.Value.
type count int

// Set reads a number.
func (c *count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 256 {
		return fmt.Errorf("%q is no number from 1 to 256", s)
	}
	*c = count(n)
	return nil
}

// String gives the number.
func (c *count) String() string { return strconv.Itoa(int(*c)) }

// Type names the value in help.
func (c *count) Type() string { return "number" }

// An interval is how often something is done, a duration above zero; 0 where it
// was not set. It is a pflag.Value.
type interval time.Duration

// Set reads an interval.
func (i *interval) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return errors.New("want a duration above zero, such as 30s or 5m")
	}
	*i = interval(d)
	return nil
}

// String gives the interval, nothing where none was set.
func (i *interval) String() string {
	if *i == 0 {
		return ""
	}
	return time.Duration(*i).String()
}

// Type names the value in help.
func (i *interval) Type() string { return "duration" }

// addPoll adds --poll: how often to ask something. Without it that is asked once some time
// has passed, and then as often as retrieval.DefaultPoll says.
func addPoll(f *pflag.FlagSet, every *time.Duration, something, passed string) {
	f.Var((*interval)(every), "poll", "ask every so often "+something+" (default: 15m, once "+passed+"; sooner of a server that is not Amazon's)")
}
