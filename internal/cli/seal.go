package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/wire"
)

// sealOptions say whom to encrypt for, and what opens it.
type sealOptions struct {
	app        *app
	Recipients []string
	Identity   string // file; empty: the default
	Passphrase passphraseOptions
	// Unencrypted: a tree that was encrypted is not any more.
	Unencrypted bool
}

// addRecipients adds the options of commands that encrypt.
func (o *sealOptions) addRecipients(f *pflag.FlagSet, a *app) {
	f.StringArrayVarP(&o.Recipients, "recipient", "r", nil, "encrypt for `RECIPIENT`, names too (see firn key); may be repeated")
	f.BoolVar(&o.Unencrypted, "unencrypted", false, "send a directory in the clear from now on that was encrypted till now")
	o.addIdentity(f, a)
}

// addIdentity adds the options of commands that open what is encrypted.
func (o *sealOptions) addIdentity(f *pflag.FlagSet, a *app) {
	o.app, o.Passphrase.app = a, a
	f.StringVar(&o.Identity, "identity", "", "open what is encrypted with the identity in `FILE` (default: "+identityFile+" in the configuration folder)")
	o.Passphrase.addFlags(f, "read the passphrase of the identity from the first line of `PATH`")
}

// recipients gives those to encrypt for; nil for nobody. Before the first time
// an identity has to show that it opens what is encrypted for them: else a
// mistake would come to light when everything else is lost.
//
// A dry run remembers nothing.
func (o *sealOptions) recipients(ctx context.Context, env wire.Env, dry bool) (*seal.Recipients, error) {
	if len(o.Recipients) == 0 {
		return nil, nil
	}
	if o.Unencrypted {
		return nil, wrongUsage("encrypt", "--recipient and --unencrypted contradict each other")
	}
	all, err := seal.ParseRecipients(o.Recipients)
	if err != nil {
		return nil, err
	}
	tested, err := wire.RecipientsTested(env, all.ID())
	if err != nil || tested {
		return &all, err
	}
	ids, err := o.identities(ctx)
	if err == nil {
		err = seal.CheckIdentity(all, ids)
	}
	if err != nil {
		return nil, untested(err)
	}
	if dry {
		return &all, nil
	}
	return &all, wire.SetRecipientsTested(env, all.ID())
}

// untested says why nothing is encrypted yet.
func untested(err error) error {
	e := &firn.Error{Op: "encrypt", Kind: firn.Usage, Err: errors.New("nothing has shown yet that what is encrypted for these recipients can be opened again"),
		Hint: "give the identity once, with --identity FILE; it may be kept elsewhere after that"}
	if !errors.Is(err, errNoIdentity) {
		e.Err = fmt.Errorf("%w: %w", e.Err, err)
	}
	return e
}

// errNoIdentity says that the user named no identity, and there is none where
// it is looked for then.
var errNoIdentity = errors.New("it is encrypted, and no identity is given")

// identities reads the identity file.
func (o *sealOptions) identities(ctx context.Context) (seal.Identities, error) {
	path := o.app.env.Path(o.Identity)
	if o.Identity == "" {
		dir, err := config.ConfigDir(o.app.env.Getenv)
		if err != nil {
			return seal.Identities{}, err
		}
		path = filepath.Join(o.app.env.Path(dir), identityFile)
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return seal.Identities{}, &firn.Error{Op: "open", Kind: firn.Denied, Err: errNoIdentity, Hint: "give the file with the identity: --identity FILE"}
		}
	}
	return o.Passphrase.identities(ctx, path)
}
