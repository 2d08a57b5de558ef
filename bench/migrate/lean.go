package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"

	"github.com/firn-archive/firn/treehash"
)

// leanServers makes this program be the lean servers: -lean-servers N SIZE.
const leanServers = "-lean-servers"

// A leanServer is the source and the target of a migration that no disk here could
// hold: it speaks what firn migrate asks of two vaults, checks no signatures, makes
// the contents of the source from their numbers, and keeps of what the target is
// given only which archives of the source they are.
type leanServer struct {
	content []byte          // of each archive, but for its number at the end
	sums    []treehash.Sums // of the archives, by number
	list    []byte          // the inventory

	mu     sync.Mutex
	jobs   []leanJob
	tags   map[string]map[string]string // by vault
	stored []string                     // ids in the target, by the number of the archive; "": it isn't there
	others int                          // stored in the target, and not from the source: snapshots of the catalog
	wrong  error                        // the first request that should not have come
}

// A leanJob is what was asked of the source. All jobs are ready at once.
type leanJob struct {
	archive     int // number; below 0: the inventory
	description *string
	tier        *string
}

// A leanReport is what the servers say at their end.
type leanReport struct {
	Stored int    // archives of the source that are in the target
	Wrong  string // what should not have been asked; "": nothing
}

// leanMain is the servers, in a process of their own, until an interrupt. They say
// where they are, and at the end what came to them.
func leanMain() {
	if len(os.Args) != 4 || os.Args[1] != leanServers {
		return
	}
	if err := serveLean(os.Args[2], os.Args[3], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveLean(archives, size string, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	n, err := strconv.Atoi(archives)
	if err != nil {
		return err
	}
	each, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	s, err := newLean(n, each)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	if err := json.NewEncoder(out).Encode(map[string]string{"endpoint": "http://" + l.Addr().String()}); err != nil {
		return err
	}
	go http.Serve(l, s.handler())
	<-ctx.Done()
	return s.say(out)
}

// newLean gives servers of so many archives of size bytes.
func newLean(archives, size int) (*leanServer, error) {
	s := &leanServer{
		content: make([]byte, size-leastSize), sums: make([]treehash.Sums, archives),
		stored: make([]string, archives), tags: map[string]map[string]string{},
	}
	rand.NewChaCha8([32]byte{1}).Read(s.content)
	return s, errors.Join(s.hash(), s.inventory())
}

// hash computes the hashes of all archives: nothing but the end of each is hashed anew.
func (s *leanServer) hash() error {
	var leaves []treehash.Hash
	last := s.content
	for ; len(last) >= treehash.LeafSize; last = last[treehash.LeafSize:] {
		leaves = append(leaves, sha256.Sum256(last[:treehash.LeafSize]))
	}
	leaf, linear := sha256.New(), sha256.New()
	leaf.Write(last)
	linear.Write(s.content)
	for i := range s.sums {
		ends := [2]treehash.Hash{}
		for k, begun := range []hash.Hash{leaf, linear} {
			whole, err := begun.(hash.Cloner).Clone()
			if err != nil {
				return err
			}
			whole.Write(end(i))
			whole.Sum(ends[k][:0])
		}
		s.sums[i] = treehash.Sums{Tree: treehash.Combine(append(leaves[:len(leaves):len(leaves)], ends[0])), Linear: ends[1]}
	}
	return nil
}

// end is what the content of an archive ends in.
func end(number int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(number)) }

// madeAt is when all that is in the source was made.
const madeAt = "2013-01-02T03:04:05.000Z"

// inventory makes the list of the source.
func (s *leanServer) inventory() (err error) {
	type archive struct {
		ArchiveId, ArchiveDescription, CreationDate, SHA256TreeHash string
		Size                                                        int
	}
	list := make([]archive, len(s.sums))
	for i := range list {
		list[i] = archive{strconv.Itoa(i), described(i), madeAt, s.sums[i].Tree.String(), s.size()}
	}
	s.list, err = json.Marshal(map[string]any{"VaultARN": arn(source), "InventoryDate": madeAt, "ArchiveList": list})
	return err
}

// size is that of each archive in bytes.
func (s *leanServer) size() int { return len(s.content) + leastSize }

func arn(vault string) string { return "arn:aws:glacier:us-east-1:000000000000:vaults/" + vault }

// handler is what both vaults are asked.
func (s *leanServer) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /-/vaults/{vault}":                          s.vault,
		"GET /-/vaults/{vault}/tags":                     s.tagsOf,
		"POST /-/vaults/{vault}/tags":                    s.tag,
		"GET /-/vaults/{vault}/multipart-uploads":        s.uploads,
		"GET /-/vaults/" + source + "/jobs":              s.listJobs,
		"POST /-/vaults/" + source + "/jobs":             s.startJob,
		"GET /-/vaults/" + source + "/jobs/{job}":        s.job,
		"GET /-/vaults/" + source + "/jobs/{job}/output": s.output,
		"POST /-/vaults/" + target + "/archives":         s.store,
		"/": func(_ http.ResponseWriter, r *http.Request) error {
			return errors.New("the lean servers don't know " + r.Method + " " + r.URL.Path)
		},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := do(w, r); err != nil && r.Context().Err() == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.wrong == nil {
					s.wrong = err
				}
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	return mux
}

func reply(w http.ResponseWriter, v any) error { return json.NewEncoder(w).Encode(v) }

func (s *leanServer) vault(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("vault")
	return reply(w, map[string]any{"VaultARN": arn(name), "VaultName": name, "CreationDate": madeAt, "LastInventoryDate": madeAt, "NumberOfArchives": len(s.sums), "SizeInBytes": len(s.sums) * s.size()})
}

func (s *leanServer) tagsOf(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return reply(w, map[string]any{"Tags": s.tags[r.PathValue("vault")]})
}

func (s *leanServer) tag(w http.ResponseWriter, r *http.Request) error {
	var asked struct{ Tags map[string]string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[r.PathValue("vault")] = asked.Tags
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// uploads is empty: nothing is sent in parts.
func (s *leanServer) uploads(w http.ResponseWriter, _ *http.Request) error {
	return reply(w, map[string]any{"UploadsList": []any{}, "Marker": nil})
}

func (s *leanServer) startJob(w http.ResponseWriter, r *http.Request) error {
	var asked struct {
		Type, ArchiveId, RetrievalByteRange string
		Description, Tier                   *string
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return err
	}
	job := leanJob{archive: -1, description: asked.Description, tier: asked.Tier}
	if asked.Type != "inventory-retrieval" {
		var err error
		if job.archive, err = strconv.Atoi(asked.ArchiveId); err != nil || job.archive < 0 || job.archive >= len(s.sums) || asked.RetrievalByteRange != "" {
			return fmt.Errorf("a job of archive %q, bytes %q", asked.ArchiveId, asked.RetrievalByteRange)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("x-amz-job-id", strconv.Itoa(len(s.jobs)))
	s.jobs = append(s.jobs, job)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// jobsAtOnce is how many jobs a page of their list has. Source: Amazon Glacier API
// reference, "List Jobs".
const jobsAtOnce = 50

func (s *leanServer) listJobs(w http.ResponseWriter, r *http.Request) error {
	from, _ := strconv.Atoi(r.FormValue("marker")) // the first page has none
	s.mu.Lock()
	defer s.mu.Unlock()
	list, marker := []any{}, (*string)(nil)
	for id := from; id < len(s.jobs); id++ {
		if len(list) == jobsAtOnce {
			next := strconv.Itoa(id)
			marker = &next
			break
		}
		list = append(list, s.described(id))
	}
	return reply(w, map[string]any{"JobList": list, "Marker": marker})
}

// described is a job as the service describes it.
func (s *leanServer) described(id int) map[string]any {
	j := s.jobs[id]
	d := map[string]any{"JobId": strconv.Itoa(id), "JobDescription": j.description, "CreationDate": madeAt, "CompletionDate": madeAt, "Completed": true, "StatusCode": "Succeeded", "VaultARN": arn(source)}
	if j.archive < 0 {
		d["Action"], d["InventorySizeInBytes"] = "InventoryRetrieval", len(s.list)
		d["InventoryRetrievalParameters"] = map[string]string{"Format": "JSON"}
		return d
	}
	d["Action"], d["ArchiveId"], d["Tier"] = "ArchiveRetrieval", strconv.Itoa(j.archive), j.tier
	d["ArchiveSizeInBytes"], d["RetrievalByteRange"] = s.size(), fmt.Sprintf("0-%d", s.size()-1)
	d["ArchiveSHA256TreeHash"], d["SHA256TreeHash"] = s.sums[j.archive].Tree.String(), s.sums[j.archive].Tree.String()
	return d
}

// asked gives the job that a request is about.
func (s *leanServer) asked(r *http.Request) (id int, j leanJob, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err = strconv.Atoi(r.PathValue("job"))
	if err != nil || id < 0 || id >= len(s.jobs) {
		return id, j, fmt.Errorf("there is no job %q", r.PathValue("job"))
	}
	return id, s.jobs[id], nil
}

func (s *leanServer) job(w http.ResponseWriter, r *http.Request) error {
	id, _, err := s.asked(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return reply(w, s.described(id))
}

// output sends an archive as a whole, or the inventory.
func (s *leanServer) output(w http.ResponseWriter, r *http.Request) error {
	_, j, err := s.asked(r)
	if err != nil {
		return err
	}
	parts := [][]byte{s.list}
	if j.archive >= 0 {
		parts = [][]byte{s.content, end(j.archive)}
		w.Header().Set("x-amz-sha256-tree-hash", s.sums[j.archive].Tree.String())
	}
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if asked := r.Header.Get("Range"); asked != "" {
		if asked != fmt.Sprintf("bytes=0-%d", size-1) {
			return fmt.Errorf("%s of %d bytes: the lean servers send all or nothing", asked, size)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", size-1, size))
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// pieceSize is how much of an archive is read at a time, in bytes: what fits in a
// processor's cache.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// store takes an archive in if it has the hashes that were promised, and gives it an
// id that no other has.
func (s *leanServer) store(w http.ResponseWriter, r *http.Request) error {
	got, buf := &arrival{server: s}, pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	if _, err := io.CopyBuffer(got, r.Body, buf[:]); err != nil {
		return err
	}
	number, sums := got.end()
	if tree, linear := r.Header.Get("x-amz-sha256-tree-hash"), r.Header.Get("x-amz-content-sha256"); tree != sums.Tree.String() || linear != hex.EncodeToString(sums.Linear[:]) {
		return fmt.Errorf("the hashes %s and %s of an archive that has %s and %x", tree, linear, sums.Tree, sums.Linear)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number >= 0 && s.stored[number] != "" {
		return fmt.Errorf("archive %d came twice", number)
	}
	id := fmt.Sprintf("moved-%d", number)
	if number < 0 {
		s.others++
		id = fmt.Sprintf("other-%d", s.others)
	} else {
		s.stored[number] = id
	}
	w.Header().Set("x-amz-archive-id", id)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// An arrival is what comes to the target. As long as it is an archive of the source,
// byte for byte, its hashes are known: what is measured is who moves it. All else is
// hashed.
type arrival struct {
	server *leanServer
	same   int              // bytes that are those of each archive
	number []byte           // what came behind them
	other  *treehash.Double // nil: it may be an archive of the source
}

func (a *arrival) Write(p []byte) (int, error) {
	if a.other != nil {
		return a.other.Write(p)
	}
	content := a.server.content[a.same:]
	n := min(len(p), len(content))
	if !bytes.Equal(p[:n], content[:n]) || len(a.number)+len(p)-n > leastSize {
		a.hash()
		return a.other.Write(p)
	}
	a.same += n
	a.number = append(a.number, p[n:]...)
	return len(p), nil
}

// hash hashes what came so far, and whatever comes.
func (a *arrival) hash() {
	a.other = treehash.NewDouble()
	a.other.Write(a.server.content[:a.same])
	a.other.Write(a.number)
}

// end gives the number of the archive in the source, -1 where it is none, and its hashes.
func (a *arrival) end() (number int, sums treehash.Sums) {
	if len(a.number) == leastSize {
		if n := binary.LittleEndian.Uint64(a.number); n < uint64(len(a.server.sums)) {
			return int(n), a.server.sums[n]
		}
	}
	if a.other == nil {
		a.hash()
	}
	return -1, a.other.Sums()
}

// say tells what came to the target.
func (s *leanServer) say(out io.Writer) error {
	var r leanReport
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.stored {
		if id != "" {
			r.Stored++
		}
	}
	if s.wrong != nil {
		r.Wrong = s.wrong.Error()
	}
	return json.NewEncoder(out).Encode(r)
}

// lean starts both lean servers, which are one process.
func (b *bench) lean(ctx context.Context) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, self, leanServers, strconv.Itoa(b.archives), strconv.Itoa(b.size)))
}

// checkLean looks whether each archive came to the target, once, and whole.
func checkLean(s *server, archives int) error {
	var r leanReport
	switch err := json.Unmarshal(s.said.Bytes(), &r); {
	case err != nil:
		return fmt.Errorf("the lean servers said %q: %w", &s.said, err)
	case r.Wrong != "":
		return errors.New("the lean servers: " + r.Wrong)
	case r.Stored != archives:
		return fmt.Errorf("%d of %d archives came to the target", r.Stored, archives)
	}
	return nil
}
