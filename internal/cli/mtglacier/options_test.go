package mtglacier

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
)

// A key pair that no account has, and what every command needs.
const (
	testKey    = "AKIAJ2QN54K3SOFABCDE"
	testSecret = "jhuYh6d73hdhGndk1jdHJHdjHghDjDkkdkKDkdkd"
)

func access() []string {
	return []string{"--key", testKey, "--secret", testSecret, "--region", "us-east-1"}
}

// testEnv is a folder with a tree, two journals and a config file, and an empty
// environment.
func testEnv(t *testing.T) Env {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "tree/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("tree/a.txt", "a")
	write("tree/sub/b.txt", "b")
	write("tree/empty", "")
	write("other.txt", "o")
	write("j", "")
	write("full", "x\n")
	write("cfg", "key="+testKey+"\nsecret="+testSecret+"\nregion=us-east-1\nvault=Photos\njournal=j\n")
	return Env{
		Stdin: strings.NewReader(""), Stdout: new(bytes.Buffer), Stderr: new(bytes.Buffer),
		Getenv: func(string) string { return "" }, Dir: dir,
	}
}

// A refusal is a command line that mtglacier refuses.
type refusal struct {
	name string
	args []string
	want string // on stderr, behind "ERROR: "; several in lines
}

// syncLine, uploadLine and bareLine give command lines, the last without a config file.
func syncLine(more ...string) []string {
	return append([]string{"sync", "--config", "cfg", "--dir", "tree"}, more...)
}

func uploadLine(more ...string) []string {
	return append([]string{"upload-file", "--config", "cfg"}, more...)
}

func bareLine(command string, more ...string) []string {
	return append(append([]string{command}, access()...), more...)
}

// testRefusals: what is refused is an error on stderr, with status 1, and nothing
// but the banner on stdout.
func testRefusals(t *testing.T, refusals []refusal) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			env := testEnv(t)
			status := Main(t.Context(), test.args, env)
			want := "ERROR: " + strings.ReplaceAll(test.want, "\n", "\nERROR: ") + "\n"
			if diff := cmp.Diff(want, env.Stderr.(*bytes.Buffer).String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			if out := env.Stdout.(*bytes.Buffer).String(); out != banner+"\n\n" {
				t.Errorf("stdout is %q", out)
			}
			if status != 1 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// TestRefusedArguments: words and options that can't be.
func TestRefusedArguments(t *testing.T) {
	testRefusals(t, []refusal{
		{"nothing", nil, `Please specify command`},
		{"only options", []string{"--dry-run"}, `Please specify command`},
		{"command", []string{"snyc"}, `Unknown command "snyc"; the commands are in: mtglacier help`},
		{"help is the first", []string{"sync", "--help"}, `Unknown option: help`},
		{"unknown option", syncLine("--nwe"), `Unknown option: nwe`},
		{"another case", syncLine("--New"), `Unknown option: New`},
		{"no negation", syncLine("--no-new"), `Unknown option: no-new`},
		{"ambiguous", []string{"sync", "--conf", "cfg"}, `Option conf is ambiguous (config, config-encoding)`},
		{"ambiguous with an old name", syncLine("--to", "x"), `Option to is ambiguous (to-dir, to-vault, token)`},
		{"value for a flag", syncLine("--dry-run=1"), `Option dry-run does not take an argument`},
		{"no value", syncLine("--vault"), `Option vault requires an argument`},
		{"empty value", syncLine("--vault="), `Option vault requires an argument`},
		{"several", []string{"sync", "-x", "-y"}, "Unknown option: x\nUnknown option: y"},
		{"twice", syncLine("--vault", "a", "--vault", "b"), `"--vault" specified, while "--vault" already defined`},
		{"another argument", syncLine("photos"), `Unexpected argument in command line: "photos"`},
		{"of another command", syncLine("--stdin"), `Unexpected option "--stdin" for sync`},
		{"filters of another command", uploadLine("--exclude", "x"), `Unexpected option "--exclude" for upload-file`},
		{"follow is for sync", append(bareLine("restore", "--follow"), "--vault", "v", "--dir", "tree", "--journal", "j", "--max-number-of-files", "1"), `Unexpected option "--follow" for restore`},
	})
}

// TestRefusedConfig: config files that can't be read.
func TestRefusedConfig(t *testing.T) {
	testRefusals(t, []refusal{
		{"no config", []string{"sync", "--config", "none"}, `Cannot read config file "none": no such file or directory`},
		{"config is a folder", []string{"sync", "--config", "tree"}, `Cannot read config file "tree": it is not a plain file`},
	})
}

// TestRefusedMissing: commands without what they need.
func TestRefusedMissing(t *testing.T) {
	testRefusals(t, []refusal{
		{"no access", []string{"sync", "--dir", "tree"}, "Please specify --key\nPlease specify --secret\nPlease specify --region\nPlease specify --vault\nPlease specify --journal"},
		{"no access for the disk alone", []string{"check-local-hash", "--dir", "tree", "--journal", "j"}, "Please specify --key\nPlease specify --secret\nPlease specify --region"},
		{"nothing for sync", bareLine("sync"), "Please specify --dir\nPlease specify --vault\nPlease specify --journal"},
		{"nothing for upload-file", bareLine("upload-file"), "Please specify --vault\nPlease specify --journal"},
		{"nothing for purge-vault", bareLine("purge-vault"), "Please specify --vault\nPlease specify --journal"},
		{"nothing for restore", bareLine("restore"), "Please specify --dir\nPlease specify --vault\nPlease specify --max-number-of-files\nPlease specify --journal"},
		{"nothing for restore-completed", bareLine("restore-completed"), "Please specify --dir\nPlease specify --vault\nPlease specify --journal"},
		{"nothing for check-local-hash", bareLine("check-local-hash"), "Please specify --dir\nPlease specify --journal"},
		{"nothing for retrieve-inventory", bareLine("retrieve-inventory"), "Please specify --vault"},
		{"nothing for download-inventory", bareLine("download-inventory"), "Please specify --vault\nPlease specify --new-journal"},
		{"create-vault without a name", bareLine("create-vault"), `Please specify another argument in command line: VAULT-NAME`},
		{"delete-vault without a name", bareLine("delete-vault"), `Please specify another argument in command line: VAULT-NAME`},
		{"two names", bareLine("create-vault", "a", "b"), `Unexpected argument in command line: "b"`},
		{"a vault's name", bareLine("create-vault", "a/b"), `Vault name should be 255 characters or less and consisting of a-z, A-Z, 0-9, '_', '-', '.'`},
		{"a long vault's name", bareLine("delete-vault", strings.Repeat("v", 256)), `Vault name should be 255 characters or less and consisting of a-z, A-Z, 0-9, '_', '-', '.'`},
		{"--vault doesn't name it", bareLine("create-vault", "a", "--vault", "a"), `Unexpected option "--vault" for create-vault`},
	})
}

// TestRefusedValues: values out of their limits.
func TestRefusedValues(t *testing.T) {
	testRefusals(t, []refusal{
		{"key", syncLine("--key", testKey[1:]), `Invalid format of "--key": it should be 20 letters and digits`},
		{"secret", syncLine("--secret", "secret"), `Invalid format of "--secret": it should be 40 characters without blanks`},
		{"region", syncLine("--region", "eu_west"), `Invalid format of "--region": it should be 3 to 20 letters, digits and dashes`},
		{"short token", syncLine("--token", "tok"), `Invalid format of "--token": it should be 20 to 1024 characters without blanks`},
		{"long token", syncLine("--token", strings.Repeat("t", 1025)), `Invalid format of "--token": it should be 20 to 1024 characters without blanks`},
		{"timeout", syncLine("--timeout", "100000"), `Invalid format of "--timeout": it should be seconds, in up to 5 digits`},
		{"protocol", syncLine("--protocol", "ftp"), `Invalid format of "--protocol": it should be http or https`},
		{"concurrency 0", syncLine("--concurrency", "0"), `"--concurrency" should be between 1 and 30`},
		{"concurrency 31", syncLine("--concurrency", "31"), `"--concurrency" should be between 1 and 30`},
		{"concurrency, negative", syncLine("--concurrency", "-1"), `"--concurrency" should be between 1 and 30`},
		{"concurrency, text", syncLine("--concurrency", "four"), `Value "four" invalid for option concurrency (number expected)`},
		{"partsize 3", syncLine("--partsize", "3"), `"--partsize" must be a power of two`},
		{"partsize 0", syncLine("--partsize", "0"), `"--partsize" should be between 1 and 4096`},
		{"partsize 8192", syncLine("--partsize", "8192"), `"--partsize" should be between 1 and 4096`},
		{"max-number-of-files", syncLine("--max-number-of-files", "-1"), `"--max-number-of-files" should be between 0 and 2147483647`},
		{"leaf-optimization", syncLine("--leaf-optimization", "2"), `Invalid format of "--leaf-optimization": it should be 0 or 1`},
		{"detect", syncLine("--replace-modified", "--detect", "size"), `Invalid format of "--detect": it should be treehash or mtime or mtime-and-treehash or mtime-or-treehash or always-positive or size-only`},
		{"detect without replace", syncLine("--detect", "mtime"), `"--detect" can only be used with --replace-modified`},
		{"segment-size", []string{"restore-completed", "--config", "cfg", "--dir", "tree", "--segment-size", "5"}, `"--segment-size" must be a power of two`},
		{"inventory format", bareLine("retrieve-inventory", "--vault", "v", "--request-inventory-format", "xml"), `Invalid format of "--request-inventory-format": it should be json or csv`},
		{"list format", bareLine("list-vaults", "--format", "json"), `Invalid format of "--format": it should be for-humans or mtmsg`},
	})
}

// TestRefusedFiles: folders and journals that aren't there, or are.
func TestRefusedFiles(t *testing.T) {
	testRefusals(t, []refusal{
		{"no such dir", []string{"sync", "--config", "cfg", "--dir", "none"}, `Directory "none" of "--dir": no such file or directory`},
		{"dir is a file", []string{"sync", "--config", "cfg", "--dir", "cfg"}, `Directory "cfg" of "--dir": it is not a directory`},
		{"long dir", []string{"sync", "--config", "cfg", "--dir", strings.Repeat("d", 512)}, `"--dir" should be shorter than 512 characters`},
		{"no journal", []string{"purge-vault", "--config", "cfg", "--journal", "none"}, `Journal file "none" not found`},
		{"no journal to restore from", []string{"restore-completed", "--config", "cfg", "--dir", "tree", "--journal", "none"}, `Journal file "none" not found`},
		{"no journal to check", []string{"check-local-hash", "--config", "cfg", "--dir", "tree", "--journal", "none"}, `Journal file "none" not found`},
		{"journal is a folder", syncLine("--journal", "tree"), `Journal file "tree" is not a plain file`},
		{"journal nowhere", syncLine("--journal", "no/j"), `Journal file "no/j" cannot be made: there is no directory "no"`},
		{"new journal is there", bareLine("download-inventory", "--vault", "v", "--new-journal", "full"), `Journal file "full", of "--new-journal", already exists and is not empty`},
	})
}

// TestRefusedFilters: rules that are none.
func TestRefusedFilters(t *testing.T) {
	testRefusals(t, []refusal{
		{"empty filter", syncLine("--filter", ""), `Error in parsing "--filter": no rules; write for example '+*.jpg -'`},
		{"blank filter", syncLine("--filter", " "), `Error in parsing "--filter": no rules; write for example '+*.jpg -'`},
		{"filter", syncLine("--filter", " +z  p +a"), `Error in parsing "--filter": "p +a" begins with neither + nor -; a rule is a sign and a pattern, as in '+*.jpg -'; for patterns with blanks there are --include and --exclude`},
	})
}

// TestRefusedUpload: files and names that don't go together.
func TestRefusedUpload(t *testing.T) {
	testRefusals(t, []refusal{
		{"no file", uploadLine(), `Please specify --filename or --stdin`},
		{"no name", uploadLine("--filename", "tree/a.txt"), `Please specify --set-rel-filename or --dir`},
		{"file and stdin", uploadLine("--filename", "tree/a.txt", "--stdin"), `"--filename" and "--stdin" are mutually exclusive`},
		{"two names of it", uploadLine("--filename", "tree/a.txt", "--dir", "tree", "--set-rel-filename", "x"), `"--dir" and "--set-rel-filename" are mutually exclusive`},
		{"outside", uploadLine("--filename", "other.txt", "--dir", "tree"), `File "other.txt" of "--filename": it is not inside of the directory "tree" of --dir`},
		{"missing", uploadLine("--filename", "none", "--dir", "tree"), `File "none" of "--filename": no such file or directory`},
		{"folder", uploadLine("--filename", "tree/sub", "--dir", "tree"), `File "tree/sub" of "--filename" is not a plain file`},
		{"empty", uploadLine("--filename", "tree/empty", "--dir", "tree"), `File "tree/empty" of "--filename" is empty: the service stores nothing that is`},
		{"base-dir without dir", uploadLine("--filename", "tree/a.txt", "--set-rel-filename", "x", "--base-dir", "tree"), `"--base-dir" can only be used with --dir`},
		{"limit without stdin", uploadLine("--filename", "tree/a.txt", "--dir", "tree", "--check-max-file-size", "1"), `"--check-max-file-size" can only be used with --stdin`},
		{"stdin alone", uploadLine("--stdin"), "Please specify --set-rel-filename with --stdin\nPlease specify --check-max-file-size with --stdin"},
		{"stdin and dir", uploadLine("--stdin", "--dir", "tree", "--check-max-file-size", "1"), "\"--dir\" can only be used with --filename\nPlease specify --set-rel-filename with --stdin"},
		{"limit 0", uploadLine("--stdin", "--set-rel-filename", "x", "--check-max-file-size", "0"), `"--check-max-file-size" should be between 1 and 40960000`},
		{"limit above all", uploadLine("--stdin", "--set-rel-filename", "x", "--check-max-file-size", "40960001", "--partsize", "4096"), `"--check-max-file-size" should be between 1 and 40960000`},
		{"limit above the parts", uploadLine("--stdin", "--set-rel-filename", "x", "--check-max-file-size", "160001"), `With --partsize=16 a file can have up to 160000 MiB: "--check-max-file-size"=160001 needs larger parts`},
	})
}

// TestRefusedEncodings: encodings that are not known, and what isn't in them.
func TestRefusedEncodings(t *testing.T) {
	testRefusals(t, []refusal{
		{"encoding", syncLine("--terminal-encoding", "klingon"), `"--terminal-encoding": no encoding "klingon" is known`},
		{"wide encoding", syncLine("--journal-encoding", "UTF-16LE"), `"--journal-encoding": the encoding "UTF-16LE" can't be that of names: it isn't based on ASCII`},
		{"not in the encoding", syncLine("--vault", "\xff"), `Value of "--vault" is not in the encoding UTF-8`},
	})
}

// TestRelFilename: names that a journal can have, and others. The vectors are those of
// t/unit/journal_sanity.t of mt-aws-glacier.
func TestRelFilename(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "a/b/c": true, " a/ b /c": true, "0": true, "0/0": true, "тест/test": true, "ф..b": true, "a..": true, "..a": true,
		" ..": true, ".. ": true, ". ": true, " .": true, "...": true, `\\`: true, `\\..\a`: true, "a/": true,
		"/": false, "//": false, ".": false, "/.": false, "./": false, "a/./b/./": false, "a/./b/.": false, "/a": false, "/ф/ф": false,
		"/a ": false, "../etc/password": false, "/../x": false, "..": false, "../": false, "a\nb": false, "a\rb": false, "a\tb": false, "//a": false,
	} {
		o, _, err := parse([]string{"upload-file", "--config", "cfg", "--filename", "other.txt", "--set-rel-filename", name}, testEnv(t))
		if good != (err == nil) {
			t.Errorf("%q: %v", name, err)
		}
		if good && o.RelFilename != name {
			t.Errorf("%q became %q", name, o.RelFilename)
		}
	}
}

// An acceptance is a command line that mtglacier takes, and what it means.
type acceptance struct {
	name string
	args []string
	want func(*Options) // what differs from a plain sync
}

// configured adds the config file to a command line.
func configured(args ...string) []string { return append(args, "--config", "cfg") }

// TestTaken: ways to say things.
func TestTaken(t *testing.T) {
	testAccepted(t, []acceptance{
		{"plain", configured("sync", "--dir", "tree"), func(o *Options) {}},
		{"any order", configured("--dir", "tree", "sync"), func(o *Options) {}},
		{"one dash", []string{"-config=cfg", "sync", "-dir", "tree", "-dry-run"}, func(o *Options) { o.DryRun = true }},
		{"with =", []string{"sync", "--config=cfg", "--dir=tree", "--vault=a=b"}, func(o *Options) { o.Vault = "a=b" }},
		{"abbreviated", configured("sync", "--di", "tree", "--dr", "--repl", "--conc", "2", "--leaf=0"), func(o *Options) {
			o.DryRun, o.ReplaceModified, o.New, o.Concurrency = true, true, false, 2
		}},
		{"the whole name of a longer one's beginning", configured("sync", "--dir", "tree", "--new"), func(o *Options) {}},
		{"behind --", append(configured("--dir", "tree"), "--", "sync"), func(o *Options) {}},
		{"a value with a dash", configured("sync", "--dir", "tree", "--vault", "-v"), func(o *Options) { o.Vault = "-v" }},
		{"over the config", configured("sync", "--vault", "v", "--dir", "tree", "--region", "eu-west-1"), func(o *Options) { o.Vault, o.Region = "v", "eu-west-1" }},
		{"flags again", configured("sync", "--dir", "tree", "--dry-run", "--dry-run"), func(o *Options) { o.DryRun = true }},
		{"modes", configured("sync", "--dir", "tree", "--new", "--replace-modified", "--delete-removed"), func(o *Options) { o.ReplaceModified, o.DeleteRemoved = true, true }},
		{"only deletions", configured("sync", "--dir", "tree", "--delete-removed"), func(o *Options) { o.New, o.DeleteRemoved = false, true }},
		{"detect", configured("sync", "--dir", "tree", "--replace-modified", "--detect", "size-only"), func(o *Options) {
			o.New, o.ReplaceModified, o.Detect = false, true, DetectSize
		}},
		{"limits", configured("sync", "--dir", "tree", "--concurrency", "30", "--partsize", "4096", "--max-number-of-files", "5", "--timeout", "99999"), func(o *Options) {
			o.Concurrency, o.PartSize, o.MaxNumberOfFiles, o.Timeout = 30, 4096, 5, 99999*time.Second
		}},
		{"follow", configured("sync", "--dir", "tree", "--follow", "--token", strings.Repeat("t", 20)), func(o *Options) {
			o.Follow, o.Token = true, strings.Repeat("t", 20)
		}},
		{"a journal that isn't there", configured("sync", "--dir", "tree", "--journal", "new"), func(o *Options) { o.Journal = "new" }},
	})
}

// TestTakenCommands: what each of the commands takes.
func TestTakenCommands(t *testing.T) {
	testAccepted(t, []acceptance{
		{"purge-vault", configured("purge-vault"), func(o *Options) { o.Command, o.Dir = PurgeVault, "" }},
		{"restore", configured("restore", "--dir", "tree", "--max-number-of-files=7"), func(o *Options) { o.Command, o.MaxNumberOfFiles = Restore, 7 }},
		{"restore-completed", configured("restore-completed", "--dir", "tree", "--segment-size", "8"), func(o *Options) { o.Command, o.SegmentSize = RestoreCompleted, 8 }},
		{"check-local-hash", configured("check-local-hash", "--dir", "tree"), func(o *Options) { o.Command, o.Vault = CheckLocalHash, "" }},
		{"retrieve-inventory", configured("retrieve-inventory", "--request-inventory-format", "csv"), func(o *Options) {
			o.Command, o.Dir, o.Journal, o.InventoryFormat = RetrieveInventory, "", "", "csv"
		}},
		{"download-inventory", configured("download-inventory", "--new-journal", "j"), func(o *Options) {
			o.Command, o.Dir, o.Journal, o.NewJournal = DownloadInventory, "", "", "j"
		}},
		{"create-vault", configured("create-vault", "a.B_c-1"), func(o *Options) { o.Command, o.Dir, o.Journal, o.Vault = CreateVault, "", "", "a.B_c-1" }},
		{"delete-vault, name last", []string{"--config", "cfg", "delete-vault", "v"}, func(o *Options) { o.Command, o.Dir, o.Journal, o.Vault = DeleteVault, "", "", "v" }},
		{"list-vaults", configured("list-vaults", "--format", "mtmsg"), func(o *Options) {
			o.Command, o.Dir, o.Journal, o.Vault, o.ForHumans = ListVaults, "", "", "", false
		}},
		{"upload-file", configured("upload-file", "--filename", "tree/sub/b.txt", "--dir", "tree", "--base-dir", "x"), func(o *Options) {
			o.Command, o.Filename, o.RelFilename = UploadFile, "tree/sub/b.txt", "sub/b.txt"
		}},
		{"upload-file through a link", configured("upload-file", "--filename", "link/b.txt", "--dir", "tree"), func(o *Options) {
			o.Command, o.Filename, o.RelFilename = UploadFile, "link/b.txt", "sub/b.txt"
		}},
		{"upload-file by another name", configured("upload-file", "--filename", "other.txt", "--set-rel-filename", "x/y"), func(o *Options) {
			o.Command, o.Dir, o.Filename, o.RelFilename = UploadFile, "", "other.txt", "x/y"
		}},
		{"upload-file of stdin", configured("upload-file", "--stdin", "--set-rel-filename", "x", "--check-max-file-size", "160000"), func(o *Options) {
			o.Command, o.Dir, o.Stdin, o.RelFilename, o.CheckMaxFileSize = UploadFile, "", true, "x", 160000
		}},
	})
}

func testAccepted(t *testing.T, accepted []acceptance) {
	for _, test := range accepted {
		t.Run(test.name, func(t *testing.T) {
			env := testEnv(t)
			if err := os.Symlink(filepath.Join(env.Dir, "tree/sub"), filepath.Join(env.Dir, "link")); err != nil {
				t.Fatal(err)
			}
			got, notes, err := parse(test.args, env)
			if err != nil || notes != nil {
				t.Fatalf("%v, %q", err, notes)
			}
			want := &Options{
				Command: Sync, Vault: "Photos", Key: testKey, Secret: testSecret, Region: "us-east-1", Timeout: 3 * time.Minute, Dir: "tree", Journal: "j",
				Concurrency: 4, PartSize: 16, MaxNumberOfFiles: noLimit, New: true, Detect: DetectMtimeAndTreehash,
				InventoryFormat: "json", ForHumans: true,
			}
			test.want(want)
			got.Filter = nil
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Encoding{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWarnings: what is taken with a word on stderr.
func TestWarnings(t *testing.T) {
	tests := []struct {
		name  string
		args  []string
		want  []string
		check func(*Options) bool
	}{
		{
			"old names", []string{"sync", "--config", "cfg", "--from-dir", "tree", "--to-vault", "v"},
			[]string{`WARNING: "--from-dir" is deprecated, use --dir instead`, `WARNING: "--to-vault" is deprecated, use --vault instead`},
			func(o *Options) bool { return o.Dir == "tree" && o.Vault == "v" },
		},
		{
			"an old name, abbreviated", []string{"restore-completed", "--config", "cfg", "-to-d", "tree"},
			[]string{`WARNING: "--to-dir" is deprecated, use --dir instead`},
			func(o *Options) bool { return o.Dir == "tree" },
		},
		{
			"a folder to purge", []string{"purge-vault", "--config", "cfg", "--dir", "none"},
			[]string{`WARNING: "--dir" is not used by purge-vault any more, and has no effect`},
			func(o *Options) bool { return o.Dir == "" },
		},
		{
			"a vault to compare the disk with", []string{"check-local-hash", "--config", "cfg", "--dir", "tree", "--vault", "v"},
			[]string{`WARNING: "--vault" is not used by check-local-hash any more, and has no effect`},
			func(o *Options) bool { return o.Vault == "" },
		},
		{
			"plain http", []string{"sync", "--config", "cfg", "--dir", "tree", "--protocol", "http"},
			[]string{`protocol=http: the service is asked over https all the same`},
			func(o *Options) bool { return o.Endpoint == "" },
		},
		{"https", []string{"sync", "--config", "cfg", "--dir", "tree", "--protocol", "https"}, nil, func(o *Options) bool { return o.Endpoint == "" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, notes, err := parse(test.args, testEnv(t))
			if err != nil || !slices.Equal(notes, test.want) || !test.check(o) {
				t.Errorf("%v, %q, %+v", err, notes, o)
			}
		})
	}
	both := []string{"sync", "--config", "cfg", "--dir", "tree", "--from-dir", "tree"}
	_, notes, err := parse(both, testEnv(t))
	if want := `"--from-dir" specified, while "--dir" already defined`; err == nil || err.Error() != want || len(notes) != 1 {
		t.Errorf("both names: %v, %q", err, notes)
	}
}

// TestFirstArgument: help and version are known by the first argument, or are the
// command.
func TestFirstArgument(t *testing.T) {
	const help, version = "Usage: mtglacier COMMAND", "mt-aws-glacier version: 1.120"
	for arg, want := range map[string]string{
		"help": help, "--help": help, "-h": help, "-help": help, "HELP": help, "h": help, "/h": help,
		"version": version, "--version": version, "-version": version, "-Version": version,
	} {
		env := testEnv(t)
		status := Main(t.Context(), []string{arg, "--nonsense"}, env)
		out := env.Stdout.(*bytes.Buffer).String()
		if status != 0 || !strings.HasPrefix(out, banner+"\n\n"+want) || !strings.HasSuffix(out, "\nOK DONE\n") || env.Stderr.(*bytes.Buffer).Len() > 0 {
			t.Errorf("%s: %d, %q, %q", arg, status, out, env.Stderr)
		}
	}
	env := testEnv(t)
	if Main(t.Context(), []string{"--dry-run", "help"}, env) != 0 || !strings.Contains(env.Stdout.(*bytes.Buffer).String(), help) {
		t.Error("help as a command isn't taken")
	}
	if !regexp.MustCompile(`^MT-AWS-Glacier, Copyright .* Version 1\.120$`).MatchString(banner) {
		t.Errorf("scripts don't know the banner %q", banner)
	}
}

// TestHelpIsWhole: the help has each command and each option.
func TestHelpIsWhole(t *testing.T) {
	var out strings.Builder
	printHelp(&out)
	for _, u := range usages() {
		if !strings.Contains(out.String(), "\n  "+string(u.command)) {
			t.Errorf("the help lacks %s", u.command)
		}
		for _, name := range slices.Concat(u.needs, u.takes, u.unused) {
			if d, ok := definitionOf(name); !ok || d.name != name {
				t.Errorf("%s has an option %q that isn't defined", u.command, name)
			}
		}
	}
	for _, d := range definitions() {
		if !strings.Contains(out.String(), "\n  --"+d.name+" ") {
			t.Errorf("the help lacks --%s", d.name)
		}
	}
}

// TestEndpoint: plain http reaches this machine and the host that is named, and
// nothing else.
func TestEndpoint(t *testing.T) {
	tests := []struct {
		name     string
		protocol string // empty: not given
		vars     map[string]string
		endpoint string
		notes    int
		fails    bool
	}{
		{name: "Amazon"},
		{name: "Amazon, http", protocol: "http", notes: 1},
		{name: "Amazon, https", protocol: "https"},
		{name: "fake", vars: map[string]string{fakeHostVar: "127.0.0.1:8080"}, endpoint: "http://127.0.0.1:8080"},
		{name: "fake elsewhere", protocol: "http", vars: map[string]string{fakeHostVar: "glacier.example"}, endpoint: "http://glacier.example"},
		{name: "fake, https", protocol: "https", vars: map[string]string{fakeHostVar: "glacier.example"}, endpoint: "https://glacier.example"},
		{name: "fake before another", vars: map[string]string{fakeHostVar: "[::1]:80", "AWS_ENDPOINT_URL": "http://glacier.example"}, endpoint: "http://[::1]:80"},
		{name: "no host", vars: map[string]string{fakeHostVar: "http://glacier.example"}, fails: true},
		{name: "this machine", protocol: "http", vars: map[string]string{"AWS_ENDPOINT_URL": "http://localhost:9"}},
		{name: "this machine, by number", vars: map[string]string{"AWS_ENDPOINT_URL_GLACIER": "http://[::1]:9", "AWS_ENDPOINT_URL": "http://glacier.example"}},
		{name: "another", vars: map[string]string{"AWS_ENDPOINT_URL": "http://glacier.example"}, fails: true},
		{name: "another that pretends", vars: map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1.example"}, fails: true},
		{name: "another, https", protocol: "http", vars: map[string]string{"AWS_ENDPOINT_URL": "https://glacier.example"}, notes: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			env := testEnv(t)
			env.Getenv = func(name string) string { return test.vars[name] }
			args := []string{"sync", "--config", "cfg", "--dir", "tree"}
			if test.protocol != "" {
				args = append(args, "--protocol", test.protocol)
			}
			o, notes, err := parse(args, env)
			if (err != nil) != test.fails || len(notes) != test.notes || o.Endpoint != test.endpoint && !test.fails {
				t.Errorf("%q, %q, %v", o.Endpoint, notes, err)
			}
		})
	}
}

// TestFilterOrder: the three options make one list.
func TestFilterOrder(t *testing.T) {
	for _, test := range []struct {
		args []string
		in   []string
		out  []string
	}{
		{nil, []string{"a", ".DS_Store", "a.tmp"}, nil},
		{[]string{"--filter", "+a.txt"}, []string{"a.txt", "b.txt"}, nil},
		{[]string{"--filter", "+a.txt -"}, []string{"a.txt"}, []string{"b.txt"}},
		{[]string{"--exclude", "*.gz", "--include", "*"}, []string{"a"}, []string{"a.gz"}},
		{[]string{"--include", "*", "--exclude", "*.gz"}, []string{"a", "a.gz"}, nil},
		{[]string{"--include", "a b", "--filter", "-"}, []string{"a b"}, []string{"a"}},
		{[]string{"--filter", "-/data/ +*.gz", "--exclude", ""}, []string{"1.gz", "p/1.gz"}, []string{"data/1.gz", "x"}},
		{[]string{"--filter", "-"}, nil, []string{"a"}},
		{[]string{"--filter", "++"}, []string{"+", "a"}, nil},
	} {
		args := append([]string{"sync", "--config", "cfg", "--dir", "tree"}, test.args...)
		o, _, err := parse(args, testEnv(t))
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		for i, names := range [][]string{test.in, test.out} {
			for _, name := range names {
				if covered := o.Filter.Covers(&firn.File{Path: name}); covered != (i == 1) {
					t.Errorf("%q: %s is left out: %t", test.args, name, covered)
				}
			}
		}
	}
}

// TestOptionsOfCommands: on the command line each command takes its own options and
// no others. Source of the table: mt-aws-glacier 1.120, ConfigDefinition.pm.
func TestOptionsOfCommands(t *testing.T) {
	const common = "config key secret region token timeout protocol terminal-encoding filenames-encoding config-encoding journal-encoding "
	const filters = " filter include exclude dry-run"
	for command, own := range map[Command]string{
		CreateVault:       "",
		DeleteVault:       "",
		ListVaults:        "dry-run format",
		Sync:              "dir vault journal concurrency partsize detect new replace-modified delete-removed max-number-of-files leaf-optimization follow" + filters,
		UploadFile:        "vault journal filename dir set-rel-filename stdin check-max-file-size concurrency partsize base-dir",
		PurgeVault:        "vault journal concurrency dir" + filters,
		Restore:           "dir vault max-number-of-files journal concurrency" + filters,
		RestoreCompleted:  "dir vault journal concurrency segment-size" + filters,
		CheckLocalHash:    "dir journal vault" + filters,
		RetrieveInventory: "vault request-inventory-format",
		DownloadInventory: "vault new-journal",
	} {
		takes := strings.Fields(common + own)
		for _, d := range definitions() {
			args := []string{string(command)}
			if command == CreateVault || command == DeleteVault {
				args = append(args, "v")
			}
			args = append(args, "--"+d.name)
			if d.kind != flag {
				args = append(args, "x")
			}
			_, _, err := parse(args, testEnv(t))
			refused := err != nil && strings.Contains(err.Error(), "Unexpected option")
			if refused == slices.Contains(takes, d.name) {
				t.Errorf("%s --%s: %v", command, d.name, err)
			}
		}
	}
}

// FuzzArguments: no arguments are too odd, and what is an error has words.
func FuzzArguments(f *testing.F) {
	f.Add("sync\x00--dir\x00x")
	f.Add("-\x00--\x00-=\x00---x=y")
	f.Add("--filter=+\x00upload-file\x00-stdin")
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\x00")
		settings, words, wrong := readArguments(args)
		for _, s := range settings {
			if d, ok := definitionOf(s.as); !ok || d.name != s.name || s.value == "" && d.kind == flag {
				t.Errorf("%+v", s)
			}
		}
		if len(settings)+len(words)+len(wrong) > len(args) {
			t.Error("more came out than went in")
		}
		for _, err := range wrong {
			if err.Error() == "" {
				t.Error("an error without words")
			}
		}
	})
}
