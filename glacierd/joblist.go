package glacierd

import (
	"strconv"
	"strings"

	"github.com/firn-archive/firn/treehash"
)

// A jobDescription is the JSON of a job.
type jobDescription struct {
	Action                       string
	ArchiveId                    *string
	ArchiveSHA256TreeHash        *string
	ArchiveSizeInBytes           *int64
	Completed                    bool
	CompletionDate               *string
	CreationDate                 string
	InventoryRetrievalParameters *inventoryParameters
	InventorySizeInBytes         *int64
	JobDescription               *string
	JobId                        string
	JobOutputPath                *string
	OutputLocation               *struct{}
	RetrievalByteRange           *string
	SHA256TreeHash               *string
	SNSTopic                     *string
	SelectParameters             *struct{}
	StatusCode                   string
	StatusMessage                *string
	Tier                         *string
	VaultARN                     string
}

type inventoryParameters struct {
	EndDate   *string
	Format    string
	Limit     *string
	Marker    *string
	StartDate *string
}

// describeJob makes the JSON of a job, as it is at the time now.
func (c *call) describeJob(v *vault, j job, now int64) (jobDescription, error) {
	status, message, completed := j.state(now)
	d := jobDescription{
		CreationDate:   stamp(j.created),
		Completed:      status != inProgress,
		JobDescription: j.description,
		JobId:          v.seal(jobID, j.ref),
		SNSTopic:       j.topic,
		StatusCode:     status,
		StatusMessage:  &message,
		Tier:           j.tier,
		VaultARN:       c.arn(v.name),
	}
	if d.Completed {
		date := stamp(completed)
		d.CompletionDate = &date
	}
	if j.archive == nil {
		return d, c.describeInventory(v, j, &d)
	}
	a := j.archive
	id, hash, bytes := v.seal(archiveID, a.ref), a.hash.String(), j.bytes.String()
	d.Action = "ArchiveRetrieval"
	d.ArchiveId, d.ArchiveSHA256TreeHash, d.ArchiveSizeInBytes, d.RetrievalByteRange = &id, &hash, &a.size, &bytes
	if j.rangeHash != nil && status != inProgress {
		text := treehash.Hash(j.rangeHash).String()
		d.SHA256TreeHash = &text
	}
	return d, nil
}

// describeInventory fills in what inventory jobs have. Once done, Marker is
// where the next job is to go on.
func (c *call) describeInventory(v *vault, j job, d *jobDescription) error {
	d.Action = "InventoryRetrieval"
	p := &inventoryParameters{Format: *j.format}
	d.InventoryRetrievalParameters = p
	text := func(n *int64, write func(int64) string) *string {
		if n == nil {
			return nil
		}
		s := write(*n)
		return &s
	}
	p.StartDate, p.EndDate = text(j.start, dateStamp), text(j.until, dateStamp)
	p.Limit = text(j.most, func(n int64) string { return strconv.FormatInt(n, 10) })
	marker := j.after
	if d.StatusCode == succeeded {
		if err := c.measure(v, &j); err != nil {
			return err
		}
		l := j.listing(c, v)
		size := int64(len(l.head())+len(l.tail())) + *j.output
		d.InventorySizeInBytes = &size
		marker = j.next
	}
	p.Marker = text(marker, func(n int64) string { return v.seal(archiveID, ref{number: n}) })
	return nil
}

func describeJob(c *call, v *vault) error {
	j, err := c.currentJob(v)
	if err != nil {
		return err
	}
	d, err := c.describeJob(v, j, c.now.UnixMilli())
	if err != nil {
		return err
	}
	return c.reply(d)
}

func listJobs(c *call, v *vault) error {
	limit, after, err := c.page(v, jobID)
	if err != nil {
		return err
	}
	where, err := c.jobFilter()
	if err != nil {
		return err
	}
	now := c.now.UnixMilli()
	var jobs []job
	err = c.read(v, func(t tx) error {
		return t.each("SELECT "+jobColumns+" FROM "+jobTables+" WHERE j.expires > ?1 AND j.number > ?2 AND "+where+" ORDER BY j.number LIMIT ?3",
			[]any{now, after, limit + 1},
			func(scan func(...any) error) error {
				j, err := scanJob(scan)
				jobs = append(jobs, j)
				return err
			})
	})
	if err != nil {
		return err
	}
	page := struct {
		JobList []jobDescription
		Marker  *string
	}{JobList: []jobDescription{}}
	for i, j := range jobs {
		if i == limit {
			page.Marker = &page.JobList[i-1].JobId
			break
		}
		d, err := c.describeJob(v, j, now)
		if err != nil {
			return err
		}
		page.JobList = append(page.JobList, d)
	}
	return c.reply(page)
}

// jobFilter turns the filters of the query into a condition.
func (c *call) jobFilter() (string, error) {
	query := c.r.URL.Query()
	conditions := []string{"1"}
	switch status := query.Get("statuscode"); status {
	case "":
	case inProgress, succeeded, failed:
		conditions = append(conditions, stateSQL+" = '"+status+"'")
	default:
		return "", invalid("The job status code is not valid: %s", status)
	}
	switch completed := query.Get("completed"); completed {
	case "":
	case "true":
		conditions = append(conditions, stateSQL+" <> 'InProgress'")
	case "false":
		conditions = append(conditions, stateSQL+" = 'InProgress'")
	default:
		return "", invalid("Invalid completed: %s. It must be true or false", completed)
	}
	return strings.Join(conditions, " AND "), nil
}
