package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/ui"
)

// defaultListen is where firn serve listens: on loopback only, at a port that
// IANA has given to nobody.
const defaultListen = "127.0.0.1:9012"

// shutdownGrace is how long requests under way may take to end once the server
// is told to stop. What they were uploading is then as if never sent.
const shutdownGrace = 10 * time.Second

type serveOptions struct {
	ui        *ui.UI
	lookupEnv func(string) (string, bool)
	clock     clock.Clock

	Dir         string // absolute
	Listen      string
	Expose      bool
	Credentials string // file, absolute; empty for none
	Account     string
	Region      string
	Timing      glacierd.Timing
	Faults      []string
	FaultSeed   uint64
	LogRequests bool
}

func newServeCmd(a *app, run func(context.Context, *serveOptions) error) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve DIR",
		Short: "be a Glacier-compatible server for the vaults below a folder",
		Long: `Serve the vaults below DIR over Amazon Glacier's REST API, to firn and to any
other client: each folder DIR/NAME is the vault NAME, the same that
local:DIR/NAME names. DIR is made where it is missing.

Requests must be signed: with the key pair in the file that --credentials names,
else with that in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and
AWS_SESSION_TOKEN), else with one that is made at the first start, shown once,
and kept in DIR/+account/credentials.

Jobs take the hours that the service takes, and inventories are a day old,
unless the delays below are set. It stops at an interrupt (Ctrl-C) or SIGTERM.

A fault is a failure to act out, for tests and for practice: its kind, then
what it is aimed at. The kinds are timeout, internal, unavailable, throttle,
lost-answer, truncate, corrupt, expired-job, failed-job, clock-skew, slow,
reset, late-signature, no-capacity and no-longer-supported; the aims are
op=OPERATION, nth=N, times=N, p=PROBABILITY, after=SIZE and delay=DURATION.`,
		Example: `  firn serve /srv/vaults
  firn serve /tmp/vaults --job-delay 1m --inventory-every 10m
  firn serve /tmp/vaults --fault "lost-answer op=UploadArchive nth=3" --fault "throttle p=0.05"`,
		Args: takes("DIR"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	delays := o.addFlags(cmd.Flags())
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.ui, o.lookupEnv, o.clock = a.ui, a.env.LookupEnv, a.env.Clock
		o.Dir = a.env.Path(args[0])
		if o.Credentials != "" {
			o.Credentials = a.env.Path(o.Credentials)
		}
		o.Timing = delays.timing(cmd.Flags())
		return run(ctx, o)
	})
	return cmd
}

func (o *serveOptions) addFlags(f *pflag.FlagSet) *serveDelays {
	f.SortFlags = false
	f.StringVar(&o.Listen, "listen", defaultListen, "listen at `ADDRESS:PORT`; port 0 takes a free one")
	f.BoolVar(&o.Expose, "expose", false, "allow an address that other machines can reach; nothing is encrypted")
	f.StringVar(&o.Credentials, "credentials", "", "take the key pair from `FILE`, in the form of ~/.aws/credentials")
	f.StringVar(&o.Account, "account", "", "the account's id, 12 `DIGITS` (default all zeros)")
	f.StringVar(&o.Region, "region", "", "take only requests signed for `REGION` (default any)")
	f.BoolVar(&o.LogRequests, "log-requests", false, "show one line for each request")
	d := &serveDelays{}
	d.addFlags(f)
	f.StringArrayVar(&o.Faults, "fault", nil, "act out the failure that `SPEC` describes; may be repeated")
	f.Uint64Var(&o.FaultSeed, "fault-seed", 0, "`NUMBER` that decides where faults with p=... strike: equal ones strike equally")
	return d
}

// serveDelays are the options that make the service quicker.
type serveDelays struct {
	all, expedited, standard, bulk, inventory, every time.Duration
}

func (d *serveDelays) addFlags(f *pflag.FlagSet) {
	t := glacierd.ServiceTiming()
	f.DurationVar(&d.all, "job-delay", 0, "how long each job takes, retrievals of all tiers and inventories (default as below)")
	f.DurationVar(&d.expedited, "expedited-delay", t.Expedited, "how long expedited retrievals take")
	f.DurationVar(&d.standard, "standard-delay", t.Standard, "how long standard retrievals take")
	f.DurationVar(&d.bulk, "bulk-delay", t.Bulk, "how long bulk retrievals take")
	f.DurationVar(&d.inventory, "inventory-delay", t.Inventory, "how long inventory jobs take")
	f.DurationVar(&d.every, "inventory-every", t.InventoryEvery, "time between inventories; 0 for one with each job")
}

// timing joins the options: --job-delay stands for each delay that isn't given.
func (d *serveDelays) timing(f *pflag.FlagSet) glacierd.Timing {
	pick := func(name string, value time.Duration) time.Duration {
		if f.Changed("job-delay") && !f.Changed(name) {
			return d.all
		}
		return value
	}
	return glacierd.Timing{
		Expedited:      pick("expedited-delay", d.expedited),
		Standard:       pick("standard-delay", d.standard),
		Bulk:           pick("bulk-delay", d.bulk),
		Inventory:      pick("inventory-delay", d.inventory),
		InventoryEvery: d.every,
	}
}

func runServe(ctx context.Context, o *serveOptions) error {
	if err := o.checkListen(); err != nil {
		return err
	}
	faults, err := o.faults()
	if err != nil {
		return err
	}
	if err := o.makeDir(); err != nil {
		return err
	}
	keys, err := o.keys()
	if err != nil {
		return err
	}
	config := glacierd.Config{
		Root: o.Dir, Credentials: glacierd.Credentials(keys.KeyPair), Account: o.Account, Region: o.Region,
		Clock: o.clock, AuthClock: o.clock, Timing: &o.Timing, Faults: faults,
	}
	if o.LogRequests {
		config.Log = o.ui.Notice
	}
	server, err := glacierd.New(config)
	if err != nil {
		return &firn.Error{Op: "serve", Subject: o.Dir, Kind: firn.Usage, Err: err}
	}
	err = o.serve(ctx, server, keys)
	for _, f := range faults.Armed() {
		o.ui.Notice(fmt.Sprintf("fault %q struck %s", f.String(), times(f.Struck())))
	}
	return errors.Join(err, server.Close())
}

// serve listens, says where, and answers until ctx ends.
func (o *serveOptions) serve(ctx context.Context, handler http.Handler, keys serveKeys) error {
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return &firn.Error{Op: "listen", Subject: o.Listen, Kind: firn.Local, Err: netCause(err), Hint: "give another address with --listen; port 0 takes a free one"}
	}
	h := &http.Server{
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		Handler:           handler,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(warnings{o.ui}, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	o.announce("http://"+listener.Addr().String(), keys)
	select {
	case err := <-ended:
		return &firn.Error{Op: "serve", Subject: o.Listen, Kind: firn.Local, Err: err}
	case <-ctx.Done():
	}
	o.ui.Notice("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if h.Shutdown(grace) != nil {
		h.Close()
	}
	return nil
}

// checkListen refuses addresses that other machines can reach, unless they are
// wanted.
func (o *serveOptions) checkListen() error {
	address, err := net.ResolveTCPAddr("tcp", o.Listen)
	if err != nil {
		return wrongUsage("serve", "--listen %s: give an address and a port, such as %s", o.Listen, defaultListen)
	}
	if !o.Expose && !address.IP.IsLoopback() {
		return wrongUsage("serve", "--listen %s: other machines could reach that, and nothing is encrypted; if you mean it, give --expose too", o.Listen)
	}
	return nil
}

// makeDir makes the folder where it is missing. What it is to be in must be
// there: a folder that is not mounted is not to be made anew.
func (o *serveOptions) makeDir() error {
	err := os.Mkdir(o.Dir, 0o700)
	if errors.Is(err, os.ErrExist) {
		info, statErr := os.Stat(o.Dir)
		if statErr == nil && !info.IsDir() {
			return wrongUsage("serve", "%s is not a folder", o.Dir)
		}
		err = statErr
	}
	if err != nil {
		return &firn.Error{Op: "make folder", Subject: o.Dir, Kind: firn.Local, Err: cause(err)}
	}
	return nil
}

func (o *serveOptions) faults() (*glacierd.Faults, error) {
	faults := glacierd.NewFaults(o.FaultSeed)
	for _, text := range o.Faults {
		f, err := glacierd.ParseFault(text)
		if err == nil {
			_, err = faults.Add(f)
		}
		if err != nil {
			return nil, wrongUsage("serve", "--fault: %w", err)
		}
	}
	return faults, nil
}

// serveKeys is the key pair that requests must be signed with.
type serveKeys struct {
	glacierd.KeyPair
	file string // that holds it; empty where it came from the environment
	made bool   // just now
}

// keys finds the key pair: in the environment, in a file, or in the folder.
func (o *serveOptions) keys() (serveKeys, error) {
	id, hasID := o.lookupEnv("AWS_ACCESS_KEY_ID")
	secret, hasSecret := o.lookupEnv("AWS_SECRET_ACCESS_KEY")
	if o.Credentials == "" && hasID && hasSecret {
		token, _ := o.lookupEnv("AWS_SESSION_TOKEN")
		return serveKeys{KeyPair: glacierd.KeyPair{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}}, nil
	}
	k := serveKeys{file: o.Credentials}
	var err error
	if k.file != "" {
		k.KeyPair, err = glacierd.ReadCredentials(k.file)
	} else {
		k.file = filepath.Join(o.Dir, "+account", "credentials")
		k.KeyPair, k.made, err = glacierd.LoadOrMakeCredentials(o.Dir)
	}
	if err != nil {
		return serveKeys{}, &firn.Error{Op: "read key pair", Subject: k.file, Kind: firn.Local, Err: cause(err)}
	}
	return k, nil
}

// serveRecord is what serve shows with --json once it listens.
type serveRecord struct {
	Endpoint        string `json:"endpoint"`
	Dir             string `json:"dir"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key,omitempty"` // only when it was made just now
	CredentialsFile string `json:"credentials_file,omitempty"`
}

// announce says where the server is, and how to point clients at it.
func (o *serveOptions) announce(endpoint string, k serveKeys) {
	r := serveRecord{Endpoint: endpoint, Dir: o.Dir, AccessKeyID: k.AccessKeyID, CredentialsFile: k.file}
	if k.made {
		r.SecretAccessKey = k.SecretAccessKey
	}
	o.ui.Record("serve", r)
	o.ui.Print("serving the vaults below " + o.Dir + " at " + endpoint)
	if k.made {
		o.ui.Print("made a key pair, shown this once and kept in " + k.file + ":")
		o.ui.Print("  AWS_ACCESS_KEY_ID=" + k.AccessKeyID)
		o.ui.Print("  AWS_SECRET_ACCESS_KEY=" + k.SecretAccessKey)
	}
	if !o.ui.IsJSON() {
		for _, line := range o.directions(endpoint, k) {
			o.ui.Notice(line)
		}
	}
}

// directions say how clients are pointed at the server.
func (o *serveOptions) directions(endpoint string, k serveKeys) []string {
	lines := []string{
		"to use it:",
		"  export AWS_ENDPOINT_URL_GLACIER=" + endpoint,
		"  export AWS_REGION=" + cmp.Or(o.Region, "us-east-1"),
	}
	if k.file != "" {
		lines = append(lines, "  export AWS_SHARED_CREDENTIALS_FILE="+quote(k.file))
	}
	return append(lines,
		"  firn sync FOLDER glacier:VAULT",
		"  aws glacier list-vaults --account-id - --endpoint-url "+endpoint)
}

// warnings passes what net/http has to say on to the UI, line by line.
type warnings struct{ ui *ui.UI }

func (w warnings) Write(p []byte) (int, error) {
	w.ui.Warn(strings.TrimSpace(string(p)))
	return len(p), nil
}

// quote makes a word safe for a POSIX shell.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return ui.Count(int64(n)) + " times"
}

// netCause is what is wrong with an address, without the address.
func netCause(err error) error {
	var call *os.SyscallError
	var op *net.OpError
	switch {
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
