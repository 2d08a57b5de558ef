package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/seal"
)

// identityFile is the identity's name in the configuration's folder, where no
// other is given.
const identityFile = "identity.txt"

// identityHelp tells of FILE, as all commands on keys take it.
const identityHelp = `Where FILE isn't given, it is ` + identityFile + ` in firn's configuration folder:
$XDG_CONFIG_HOME/firn, by default ~/.config/firn, on macOS
~/Library/Application Support/firn.`

// keyOptions are those of all commands on keys; each has some.
type keyOptions struct {
	app         *app
	File        string // empty: the default
	Protect     bool
	PostQuantum bool
	Recipients  []string
	Passphrase  passphraseOptions
}

// keyRun is what the commands on keys run.
type keyRun func(context.Context, *keyOptions) error

func newKeyCmd(a *app) *cobra.Command {
	return group("key", "make, show and test keys of encryption",
		newKeyNewCmd(a, runKeyNew), newKeyShowCmd(a, runKeyShow), newKeyTestCmd(a, runKeyTest))
}

func newKeyNewCmd(a *app, run keyRun) *cobra.Command {
	o := &keyOptions{app: a}
	cmd := newKeyVerb(a, o, run, "new", "make an identity, and show its recipient", `Make an identity and write it to FILE, which must not exist. The recipient, which
goes to stdout, is what archives are encrypted for, and no secret; the identity
opens them. Without it nobody can, so keep a copy of FILE off this machine.

The file is as age-keygen writes it; --passphrase encrypts it as age does.

`+identityHelp)
	cmd.Example = `  firn key new
  firn key new --passphrase /mnt/usb/identity.txt`
	f := cmd.Flags()
	f.BoolVar(&o.Protect, "passphrase", false, "encrypt the file with a passphrase, asked for twice")
	o.Passphrase.addFlags(f, "encrypt the file with the passphrase in the first line of `PATH`")
	f.BoolVar(&o.PostQuantum, "post-quantum", false, "a key that is safe from quantum computers; needs age 1.3 elsewhere")
	return cmd
}

func newKeyShowCmd(a *app, run keyRun) *cobra.Command {
	o := &keyOptions{app: a}
	cmd := newKeyVerb(a, o, run, "show", "show the recipients of an identity file", `Show the recipients that the identities in FILE belong to, one a line.

`+identityHelp)
	o.Passphrase.addFlags(cmd.Flags(), "read the passphrase of FILE from the first line of `PATH`")
	return cmd
}

func newKeyTestCmd(a *app, run keyRun) *cobra.Command {
	o := &keyOptions{app: a}
	cmd := newKeyVerb(a, o, run, "test", "say whether an identity opens what is encrypted for recipients", `Encrypt random bytes for the recipients, and open them with the identities in FILE.
It says of each recipient whether one of them opens what is encrypted for it. The
status is 0 if what is encrypted for all of them together opens.

`+identityHelp)
	cmd.Example = `  firn key test --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p`
	cmd.Flags().StringArrayVarP(&o.Recipients, "recipient", "r", nil, "encrypt for `RECIPIENT`; may be repeated")
	o.Passphrase.addFlags(cmd.Flags(), "read the passphrase of FILE from the first line of `PATH`")
	return cmd
}

// newKeyVerb gives a command that takes an identity file and nothing else.
func newKeyVerb(a *app, o *keyOptions, run keyRun, verb, short, long string) *cobra.Command {
	o.Passphrase.app = a
	cmd := &cobra.Command{Use: verb + " [FILE]", Short: short, Long: long, Args: takes("[FILE]")}
	cmd.Flags().SortFlags = false
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.File = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// path is where the identity file lies; isDefault says that the user named none.
func (o *keyOptions) path() (path string, isDefault bool, err error) {
	if o.File != "" {
		return o.app.env.Path(o.File), false, nil
	}
	dir, err := config.ConfigDir(o.app.env.Getenv)
	return filepath.Join(o.app.env.Path(dir), identityFile), true, err
}

// The records of key --json.
type (
	// keyRecord is a recipient, of key new and key show.
	keyRecord struct {
		Recipient string `json:"recipient"`
		File      string `json:"file"` // of its identity
	}
	// keyTestRecord is what key test says of a recipient.
	keyTestRecord struct {
		Recipient string `json:"recipient"`
		File      string `json:"file"`
		Opens     bool   `json:"opens"` // the identity opens what is encrypted for it
	}
)

func runKeyNew(ctx context.Context, o *keyOptions) error {
	path, isDefault, err := o.path()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return errIdentityExists(path) // before anybody chooses a passphrase
	}
	file, recipient, err := seal.NewIdentity(o.app.env.Clock.Now(), o.PostQuantum)
	if err != nil {
		return err
	}
	if o.Protect || o.Passphrase.File != "" {
		word, err := o.Passphrase.chosen(ctx)
		if err != nil {
			return err
		}
		if file, err = seal.Protect(file, word); err != nil {
			return err
		}
	}
	if isDefault {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return &firn.Error{Op: "make folder", Subject: filepath.Dir(path), Kind: firn.Local, Err: cause(err)}
		}
	}
	if err := writeNew(path, file); err != nil {
		return err
	}
	u := o.app.ui
	u.Record("key", keyRecord{recipient, path})
	u.Print(recipient)
	u.Notice("the identity is in " + path)
	u.Warn(lostIdentity(path))
	return nil
}

// errIdentityExists says that no identity is ever overwritten.
func errIdentityExists(path string) error {
	return &firn.Error{Op: "write the identity", Subject: path, Kind: firn.Conflict, Err: errors.New("there is such a file, and it stays as it is"), Hint: "name another one"}
}

// lostIdentity says what hangs on an identity.
func lostIdentity(path string) string {
	return "if this identity is lost, nobody can read what is encrypted for it, ever: keep a copy of " + path + " off this machine"
}

// writeNew writes a file that nobody else can read, and that wasn't there.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errIdentityExists(path)
	}
	if err == nil {
		_, err = f.Write(data)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(path)
		}
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return &firn.Error{Op: "write the identity", Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	return nil
}

func runKeyShow(ctx context.Context, o *keyOptions) error {
	ids, path, err := o.identities(ctx)
	if err != nil {
		return err
	}
	for _, r := range ids.Recipients() {
		o.app.ui.Record("key", keyRecord{r, path})
		o.app.ui.Print(r)
	}
	return nil
}

func runKeyTest(ctx context.Context, o *keyOptions) error {
	if len(o.Recipients) == 0 {
		return wrongUsage("test the identity", "name the recipients with --recipient")
	}
	all, err := seal.ParseRecipients(o.Recipients)
	if err != nil {
		return err
	}
	ids, path, err := o.identities(ctx)
	if err != nil {
		return err
	}
	for _, name := range all.Strings() {
		one, err := seal.ParseRecipients([]string{name})
		if err != nil {
			return err
		}
		err = seal.CheckIdentity(one, ids)
		if err != nil && firn.KindOf(err) != firn.Denied {
			return err
		}
		o.app.ui.Record("key_test", keyTestRecord{name, path, err == nil})
		if err == nil {
			o.app.ui.Print("yes: what is encrypted for " + name + " opens with " + path)
		} else {
			o.app.ui.Print("no: " + name + " is the recipient of another identity")
		}
	}
	o.app.ui.Warn(lostIdentity(path))
	return seal.CheckIdentity(all, ids)
}

// identities reads the identity file, and gives its path.
func (o *keyOptions) identities(ctx context.Context) (seal.Identities, string, error) {
	path, _, err := o.path()
	if err != nil {
		return seal.Identities{}, "", err
	}
	ids, err := o.Passphrase.identities(ctx, path)
	return ids, path, err
}

// identities reads an identity file, and asks for its passphrase where it has
// one.
func (o *passphraseOptions) identities(ctx context.Context, path string) (seal.Identities, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seal.Identities{}, &firn.Error{Op: "read the identity file", Subject: path, Kind: firn.NotFound, Err: cause(err), Hint: "name another one, or make one with: firn key new"}
	}
	if err != nil {
		return seal.Identities{}, &firn.Error{Op: "read the identity file", Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		o.app.ui.Warn(fmt.Sprintf("%s can be read by other users: chmod 600 %[1]s", path))
	}
	return seal.ReadIdentities(f, path, func() (string, error) { return o.known(ctx, path) })
}
