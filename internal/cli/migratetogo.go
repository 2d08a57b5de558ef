package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// awayOptions are those of firn migrate by which another machine does the work.
type awayOptions struct {
	Dir, For, Binary string
	Result           string // a file to pack there
}

func (o *awayOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Dir, "to-go", "", "move nothing, and make the folder `DIR`, by which a machine in the region of FROM does it")
	f.StringVar(&o.For, "for", "", "with --to-go: what `SYSTEM/ARCH` that machine is, such as linux/arm64 (default: as this one)")
	f.StringVar(&o.Binary, "binary", "", "with --to-go: the program for that, in `FILE` (default: this one)")
	f.StringVar(&o.Result, "to-go-result", "", "on that machine: write what was moved into `FILE`, for firn catalog import at home")
	notOfProfile(f, "to-go", "for", "binary", "to-go-result")
}

// asked reports whether it is another machine that does the work.
func (o *awayOptions) asked() bool { return o.Dir != "" || o.Result != "" }

// check finds options that don't go together.
func (o *awayOptions) check(finish bool) error {
	switch {
	case o.Dir == "" && (o.For != "" || o.Binary != ""):
		return wrongUsage("migrate", "--for and --binary go with --to-go")
	case o.Dir != "" && o.Result != "" || finish && o.asked():
		return wrongUsage("migrate", "give one of --finish, --to-go and --to-go-result")
	}
	return nil
}

// run does what of it is to be done here.
func (o *awayOptions) run(ctx context.Context, m *migrateOptions) error {
	switch {
	case m.Tree != "":
		return wrongUsage("migrate", "another machine moves all of a store: leave out --tree")
	case o.Result != "":
		return runToGoResult(ctx, m.app, m.From, m.To, o.Result)
	}
	t := &toGoOptions{app: m.app, From: m.From, To: m.To, Dir: o.Dir, For: o.For, Binary: o.Binary}
	for _, one := range []struct{ name, value string }{{"--class", m.Class}, {"--retrieve-rate", m.RetrieveRate.String()}, {"--tier", m.Tiers.String()}} {
		if one.value != "" && one.value != "off" && one.value != "0" {
			t.Args = append(t.Args, one.name, one.value)
		}
	}
	return runMigrateToGo(ctx, t)
}

// toGoOptions are those of firn migrate --to-go.
type toGoOptions struct {
	app      *app
	From, To string
	Dir      string   // that is made
	For      string   // linux/arm64; empty: this machine's kind
	Binary   string   // the program for that; empty: this one
	Args     []string // further arguments of the migration
}

// A toGoRecord is a folder for another machine.
type toGoRecord struct {
	From string `json:"from"`
	To   string `json:"to"`
	ui.Path
	For string `json:"for"`
}

// runMigrateToGo makes the folder.
func runMigrateToGo(ctx context.Context, o *toGoOptions) error {
	kind := runtime.GOOS + "/" + runtime.GOARCH
	if o.For == "" {
		o.For = kind
	}
	program, err := o.program(kind)
	if err != nil {
		return err
	}
	s, err := o.app.openCatalog(ctx, o.From)
	if err != nil {
		return err
	}
	defer s.close()
	to, profile, err := o.app.resolve(o.To)
	if err != nil {
		return err
	}
	if s.loc.Scheme == config.Local || to.Scheme == config.Local {
		return wrongUsage("make a folder to go", "a store in a folder of this machine can't be reached from another one")
	}
	row, err := s.row(ctx)
	if err != nil {
		return err
	}
	dir := o.app.env.Path(o.Dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		hint := ""
		if errors.Is(err, os.ErrExist) {
			hint = "name a folder that isn't there yet"
		}
		return &firn.Error{Op: "make", Subject: o.Dir, Kind: firn.Local, Err: cause(err), Hint: hint}
	}
	g := migrate.ToGo{From: s.loc.String(), To: to.String(), Args: o.Args}
	if g.Host, err = o.app.hostname(); err != nil {
		return err
	}
	if profile != nil && profile.Class != "" && !slices.Contains(o.Args, "--class") {
		g.Args = append(g.Args, "--class", profile.Class)
	}
	if g.Env, err = o.environment(endpointOf(s.loc, s.profile), endpointOf(to, profile)); err == nil {
		g.Env, err = addKnown(ctx, s, g.Env, s.loc, to)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := o.fill(ctx, s, dir, program, g, []string{row.URL, to.String()}); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	s.ui.Record("to_go", toGoRecord{s.loc.String(), to.String(), ui.NewPath(dir), o.For})
	s.ui.Print(fmt.Sprintf("%s: what a machine in the region needs; %s says what to do with it", o.Dir, filepath.Join(o.Dir, migrate.ToGoReadme)))
	return nil
}

// endpointOf is the address of a store's service, as an environment has it, where its
// profile says one.
func endpointOf(loc config.Location, p *config.Profile) string {
	if p == nil || p.Endpoint == "" {
		return ""
	}
	return endpointVar(loc.Scheme) + "=" + p.Endpoint
}

// addKnown adds where the stores were seen, if nothing else says where they are. The
// other machine has the catalog's word for it in rows only, which it won't go by.
// Errors: Usage (it can't be told both).
func addKnown(ctx context.Context, s *session, vars []string, stores ...config.Location) ([]string, error) {
	is := func(name, of string) bool { return strings.HasPrefix(of, name+"=") }
	if slices.ContainsFunc(vars, func(one string) bool { return is("AWS_ENDPOINT_URL", one) }) {
		return vars, nil
	}
	var known []string
	for _, loc := range stores {
		name := endpointVar(loc.Scheme)
		if slices.ContainsFunc(vars, func(one string) bool { return is(name, one) }) {
			continue
		}
		row, err := s.catalog.StoreByURL(ctx, loc.String())
		if err != nil && firn.KindOf(err) != firn.NotFound {
			return nil, err
		}
		at := name + "=" + wire.EndpointOf(row)
		if at == name+"=" || slices.Contains(known, at) {
			continue
		}
		if slices.ContainsFunc(known, func(one string) bool { return is(name, one) }) {
			return nil, wrongUsage("make a folder to go", "the stores are at two addresses, and one machine knows one: %s", name)
		}
		known = append(known, at)
	}
	return append(vars, known...), nil
}

// environment is what the other machine has to know of this one's: where the services
// are, as the environment and the stores' profiles say it. Names of files mean nothing
// there, and keys don't go, nor addresses with a password in them.
func (o *toGoOptions) environment(profiles ...string) (vars []string, err error) {
	profiles = slices.DeleteFunc(profiles, func(one string) bool { return one == "" })
	named := map[string]string{}
	for _, one := range profiles {
		name, value, _ := strings.Cut(one, "=")
		if before := named[name]; before != "" && before != value {
			return nil, wrongUsage("make a folder to go", "the stores are at %s and at %s, and one machine knows one address: %s", before, value, name)
		}
		named[name] = value
	}
	for _, one := range slices.Concat([]string{o.app.reached}, profiles, o.app.taskEnv()) {
		name, value, _ := strings.Cut(one, "=")
		if slices.Contains(taskFileVars, name) || strings.HasSuffix(name, "_PROFILE") || !strings.HasPrefix(name, "AWS_") {
			continue
		}
		if slices.Contains(taskEndpointVars, name) {
			if u, err := url.Parse(value); err != nil || u.User != nil {
				continue
			}
		}
		if !slices.ContainsFunc(vars, func(before string) bool { return strings.HasPrefix(before, name+"=") }) {
			vars = append(vars, name+"="+value)
		}
	}
	return vars, nil
}

// fill writes all that is in the folder.
func (o *toGoOptions) fill(ctx context.Context, s *session, dir, program string, g migrate.ToGo, stores []string) error {
	if err := copyFile(program, filepath.Join(dir, migrate.ToGoProgram), 0o755); err != nil {
		return err
	}
	if err := o.writeCatalog(ctx, s, filepath.Join(dir, migrate.ToGoCatalog), stores); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, migrate.ToGoConfig), 0o700); err != nil {
		return &firn.Error{Op: "make", Subject: migrate.ToGoConfig, Kind: firn.Local, Err: cause(err)}
	}
	// The prices are the one file of the configuration that has no secret.
	if own, err := config.ConfigDir(o.app.env.Getenv); err == nil {
		err := copyFile(filepath.Join(own, config.PricesName), filepath.Join(dir, migrate.ToGoConfig, config.PricesName), 0o600)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, migrate.ToGoReadme), text(g.Readme())); err != nil {
		return err
	}
	script := filepath.Join(dir, migrate.ToGoScript)
	if err := writeFile(script, text(g.Script())); err != nil {
		return err
	}
	return os.Chmod(script, 0o755)
}

// text writes a text.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// copyFile copies a file.
func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	err = writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	if err != nil {
		return err
	}
	return os.Chmod(to, mode)
}

// writeCatalog writes what the catalog knows of the stores, of which it may not know the
// last.
func (o *toGoOptions) writeCatalog(ctx context.Context, s *session, path string, stores []string) error {
	var known []catalog.Store
	for _, url := range stores {
		row, err := s.catalog.StoreByURL(ctx, url)
		if firn.KindOf(err) == firn.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		known = append(known, row)
	}
	export := &catalogExportOptions{app: o.app}
	return writeFile(path, func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		_, err = export.writeRows(ctx, s, known, z)
		return errors.Join(err, z.Close())
	})
}
