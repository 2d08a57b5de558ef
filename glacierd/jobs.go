package glacierd

import (
	"net/http"
	"time"

	"github.com/firn-archive/firn/treehash"
)

// jobLife is how long a job and its output stay after it is done, at least.
// Source: Amazon Glacier API reference, "Get Job Output".
const jobLife = 24 * time.Hour

// Values of fields of jobs.
const (
	typeArchive   = "archive-retrieval"
	typeInventory = "inventory-retrieval"
	typeSelect    = "select"

	tierExpedited = "Expedited"
	tierStandard  = "Standard"
	tierBulk      = "Bulk"

	inProgress = "InProgress"
	succeeded  = "Succeeded"
	failed     = "Failed"
)

// A job is a row of that table, with what it needs of its archive. It never
// changes by itself: state tells what it is at a time.
type job struct {
	ref
	created, ripe, expires int64
	failure                *string // why it will fail
	description, topic     *string

	archive   *archive // nil: the job is for an inventory
	tier      *string
	bytes     span   // of the archive
	rangeHash []byte // nil: the bytes are no node of the archive's tree

	format       *string
	start, until *int64 // creation dates, from and before
	most, after  *int64 // archives, and the number they come after
	inventory    *int64 // date of what is listed
	seq          *int64 // the last change it includes
	output       *int64 // bytes between head and tail; nil: not counted yet
	next         *int64 // the number after which another page begins
}

const jobColumns = `j.number, j.salt, j.created, j.ripe, j.expires, j.failure, j.description, j.topic,
	j.archive, a.salt, a.size, a.tree_hash, a.created, a.deleted, a.part_size, a.description,
	j.tier, j.first, j.last, j.range_hash, j.format, j.start, j.until, j.most, j.after, j.inventory, j.seq, j.output, j.next`

const jobTables = "job AS j LEFT JOIN archive AS a ON a.number = j.archive"

// scanJob reads the columns of jobColumns.
func scanJob(scan func(...any) error) (job, error) {
	var j job
	var number, salt, size, created, deleted, partSize, first, last *int64
	var hash []byte
	var description *string
	err := scan(&j.number, &j.salt, &j.created, &j.ripe, &j.expires, &j.failure, &j.description, &j.topic,
		&number, &salt, &size, &hash, &created, &deleted, &partSize, &description,
		&j.tier, &first, &last, &j.rangeHash, &j.format, &j.start, &j.until, &j.most, &j.after, &j.inventory, &j.seq, &j.output, &j.next)
	if err == nil && number != nil {
		j.archive = &archive{ref: ref{*number, *salt}, size: *size, hash: treehash.Hash(hash), created: *created, deleted: deleted, partSize: *partSize, description: *description}
		j.bytes = span{*first, *last}
	}
	return j, err
}

// state tells whether a job is done, since when, and what is to be said of it.
func (j job) state(now int64) (status, message string, completed int64) {
	switch {
	case j.archive != nil && j.archive.deleted != nil && *j.archive.deleted < j.ripe:
		return failed, "The archive was deleted while the job was in progress.", *j.archive.deleted
	case now < j.ripe:
		return inProgress, "Operation in progress.", 0
	case j.failure != nil:
		return failed, *j.failure, j.ripe
	}
	return succeeded, succeeded, j.ripe
}

// stateSQL is state, for filters; ?1 is the time.
const stateSQL = `CASE
	WHEN a.deleted < j.ripe THEN 'Failed'
	WHEN ?1 < j.ripe THEN 'InProgress'
	WHEN j.failure IS NOT NULL THEN 'Failed'
	ELSE 'Succeeded' END`

// A jobRequest is the body of InitiateJob.
type jobRequest struct {
	kind        string
	archiveID   *string
	description *string
	format      *string
	byteRange   *string
	topic       *string
	tier        *string
	start       *int64
	until       *int64
	most        *int64
	marker      *string
}

func initiateJob(c *call, v *vault) error {
	q, err := c.parseJob()
	if err != nil {
		return err
	}
	var j job
	if q.kind == typeInventory {
		j, err = v.inventoryJob(c, q)
	} else {
		j, err = v.archiveJob(c, q)
	}
	if err != nil {
		return err
	}
	id := v.seal(jobID, j.ref)
	c.w.Header().Set("Location", c.location("jobs", id))
	c.w.Header().Set("x-amz-job-id", id)
	return c.empty(http.StatusAccepted)
}

// newJob fills in what all jobs have.
func (t tx) newJob(q jobRequest, delay time.Duration) job {
	now := t.now()
	j := job{ref: ref{salt: newSalt()}, created: now, ripe: now + delay.Milliseconds(), description: q.description, topic: q.topic}
	j.expires = j.ripe + jobLife.Milliseconds()
	if t.c.acts.hit(FaultFailedJob) {
		why := "The job failed. Try again."
		j.failure = &why
	}
	return j
}

// archiveJob starts the retrieval of an archive, or of some MiB of it.
func (v *vault) archiveJob(c *call, q jobRequest) (j job, err error) {
	tier, delay, err := c.tier(q)
	if err != nil {
		return j, err
	}
	if err := c.withinRetrievalPolicy(v, q, tier); err != nil {
		return j, err
	}
	err = c.write(v, func(t tx) error {
		a, bytes, err := v.toRetrieve(t, q)
		if err != nil {
			return err
		}
		j = t.newJob(q, delay)
		j.archive, j.tier, j.bytes = &a, &tier, bytes
		hash, aligned, err := v.nodeHash(t, a, bytes)
		if err != nil {
			return err
		}
		if aligned {
			j.rangeHash = hash[:]
		}
		_, err = t.one(`INSERT INTO job (salt, created, ripe, expires, failure, description, topic, archive, tier, first, last, range_hash)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number`,
			[]any{j.salt, j.created, j.ripe, j.expires, j.failure, j.description, j.topic, a.number, tier, bytes.first, bytes.last, j.rangeHash}, &j.number)
		return err
	})
	return j, err
}

// toRetrieve finds the archive and the bytes that a job is for.
func (v *vault) toRetrieve(t tx, q jobRequest) (archive, span, error) {
	a, found, err := v.find(t, *q.archiveID)
	if err == nil && (!found || a.deleted != nil) {
		err = t.c.noArchive(*q.archiveID)
	}
	if err != nil {
		return a, span{}, err
	}
	bytes := span{0, a.size - 1}
	if q.byteRange != nil {
		var ok bool
		if bytes, ok = parseSpan(*q.byteRange); !ok || !treehash.LeafAligned(a.size, bytes.first, bytes.last+1) {
			return a, span{}, invalid("Invalid range: %s. It must begin at a whole MiB and end at one or at the end of the archive, which has %d bytes", *q.byteRange, a.size)
		}
	}
	return a, bytes, nil
}

// tier reads how fast a retrieval is to be.
func (c *call) tier(q jobRequest) (string, time.Duration, error) {
	tier := tierStandard
	if q.tier != nil {
		tier = *q.tier
	}
	timing := c.s.timing
	switch tier {
	case tierExpedited:
		if c.acts.hit(FaultNoCapacity) {
			return "", 0, &apiError{http.StatusServiceUnavailable, "InsufficientCapacityException", "There is insufficient capacity to process this expedited request. Try again, or use another tier."}
		}
		return tier, timing.Expedited, nil
	case tierStandard:
		return tier, timing.Standard, nil
	case tierBulk:
		return tier, timing.Bulk, nil
	}
	return "", 0, invalid("Invalid tier: %s. It must be %s, %s or %s", tier, tierExpedited, tierStandard, tierBulk)
}

// inventoryJob starts the retrieval of the last inventory.
func (v *vault) inventoryJob(c *call, q jobRequest) (j job, err error) {
	var after *int64
	if q.marker != nil && *q.marker != "" {
		r, from := v.open(archiveID, *q.marker)
		if from != fromHere {
			return j, invalid("Invalid marker: %s", *q.marker)
		}
		after = &r.number
	}
	err = c.write(v, func(t tx) error {
		inv, err := v.lastInventory(t)
		if err != nil {
			return err
		}
		j = t.newJob(q, c.s.timing.Inventory)
		if c.s.timing.InventoryEvery == 0 {
			inv.exists, inv.date = true, j.created
		}
		if !inv.exists {
			return notFound("The vault has no inventory yet: %s", c.arn(v.name))
		}
		j.format, j.start, j.until, j.most, j.after = q.format, q.start, q.until, q.most, after
		j.inventory, j.seq = &inv.date, &inv.seq
		if l := j.listing(c, v); l.whole() {
			output := l.entries(inv)
			j.output = &output
		}
		_, err = t.one(`INSERT INTO job (salt, created, ripe, expires, failure, description, topic, format, start, until, most, after, inventory, seq, output)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number`,
			[]any{j.salt, j.created, j.ripe, j.expires, j.failure, j.description, j.topic, j.format, j.start, j.until, j.most, j.after, j.inventory, j.seq, j.output}, &j.number)
		return err
	})
	return j, err
}

// listing is what an inventory job gives out.
func (j job) listing(c *call, v *vault) listing {
	l := listing{v: v, format: *j.format, arn: c.arn(v.name), date: *j.inventory, seq: *j.seq, start: j.start, until: j.until, most: j.most}
	if j.after != nil {
		l.after = *j.after
	}
	return l
}

// measure counts the output of an inventory job that lists a part of the
// vault, once; that of others was known from the start.
func (c *call) measure(v *vault, j *job) error {
	if j.archive != nil || j.output != nil {
		return nil
	}
	output, next, err := j.listing(c, v).count(c)
	if err != nil {
		return err
	}
	j.output = &output
	if next != 0 {
		j.next = &next
	}
	return c.write(v, func(t tx) error {
		return t.exec("UPDATE job SET output = ?, next = ? WHERE number = ?", j.output, j.next, j.number)
	})
}

// job finds the job that a call names, unless it has expired.
func (v *vault) job(t tx) (job, error) {
	c := t.c
	gone := notFound("The job ID was not found: %s", c.item)
	r, from := v.open(jobID, c.item)
	if from != fromHere {
		return job{}, gone
	}
	var j job
	var found bool
	err := t.each("SELECT "+jobColumns+" FROM "+jobTables+" WHERE j.number = ?", []any{r.number}, func(scan func(...any) error) (err error) {
		found = true
		j, err = scanJob(scan)
		return err
	})
	if err == nil && (!found || j.salt != r.salt || t.now() >= j.expires) {
		err = gone
	}
	return j, err
}

// currentJob is job for handlers, after a fault that may have struck it.
func (c *call) currentJob(v *vault) (j job, err error) {
	if c.acts.hit(FaultExpiredJob) {
		err = c.write(v, func(t tx) error {
			j, err := v.job(t)
			if err != nil {
				return err
			}
			return t.exec("UPDATE job SET expires = ? WHERE number = ?", t.now(), j.number)
		})
		if err != nil {
			return j, err
		}
	}
	err = c.read(v, func(t tx) error {
		j, err = v.job(t)
		return err
	})
	return j, err
}
