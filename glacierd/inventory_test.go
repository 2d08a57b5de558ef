package glacierd_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn/treehash"
)

// What an inventory lists is what was there at its date, whatever happens
// between the date, the start of the job and the download.
func TestInventoryLags(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	old := b.upload("v", []byte("old"), "old")
	b.clock.advance(day) // first inventory: old
	late := b.upload("v", []byte("late"), "late")
	b.do(204, "DELETE", "/-/vaults/v/archives/"+old, nil, nil)
	first := b.job("v", "Type", "inventory-retrieval")
	b.clock.advance(day) // second inventory: late
	second := b.job("v", "Type", "inventory-retrieval")
	b.clock.advance(4 * time.Hour)
	for job, want := range map[string]struct{ date, id string }{
		first:  {"2026-03-03T10:30:15Z", old},
		second: {"2026-03-04T10:30:15Z", late},
	} {
		if job == first {
			b.refuse(404, "ResourceNotFoundException", "The job ID was not found", "GET", jobsPath+"/"+job, nil, nil) // its day is over
			continue
		}
		inv := b.inventory("v", job)
		if inv.VaultARN != arn+"v" || inv.InventoryDate != want.date || !slices.Equal(inv.ids(), []string{want.id}) {
			t.Errorf("%+v, want %+v", inv, want)
		}
	}
}

// The job fixes what it lists when it is started.
func TestInventoryIsOfJobStart(t *testing.T) {
	b := newBench(t, atOnce) // the clock stands still: order alone decides
	b.createVault("v")
	one := b.upload("v", []byte("1"), "")
	before := b.job("v", "Type", "inventory-retrieval")
	two := b.upload("v", []byte("2"), "")
	b.do(204, "DELETE", "/-/vaults/v/archives/"+one, nil, nil)
	after := b.job("v", "Type", "inventory-retrieval")
	if got := b.inventory("v", before).ids(); !slices.Equal(got, []string{one}) {
		t.Errorf("before: %q", got)
	}
	if got := b.inventory("v", after).ids(); !slices.Equal(got, []string{two}) {
		t.Errorf("after: %q", got)
	}
	if date := b.inventory("v", after).InventoryDate; date != "2026-03-02T10:30:15.250Z" {
		t.Errorf("without lag the date is the job's: %s", date)
	}
}

func TestEmptyInventory(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	if got, want := string(b.output("v", b.job("v", "Type", "inventory-retrieval")).body),
		`{"VaultARN":"`+arn+`v","InventoryDate":"2026-03-02T10:30:15.250Z","ArchiveList":[]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	out := b.output("v", b.job("v", "Type", "inventory-retrieval", "Format", "CSV"))
	if got, want := string(out.body), "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if ct := out.header.Get("Content-Type"); ct != "text/csv" {
		t.Errorf("Content-Type %s", ct)
	}
}

func TestInventoryForms(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	body := []byte("x")
	sum := treehash.Sum(body).String()
	var csv strings.Builder
	csv.WriteString("ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash\n")
	var list []any
	for description, field := range map[string]string{
		"": "", "plain": "plain", "a, b": `"a, b"`, `say "hi"`: `"say \"hi\""`, `C:\dir\`: `C:\dir\`, `1\"2`: `"1\\"2"`,
		`{"Path":"dir1/file1"}`: `"{\"Path\":\"dir1/file1\"}"`, "<&>'": "<&>'", "~ !": "~ !",
	} {
		id := b.upload("v", body, description)
		fmt.Fprintf(&csv, "%s,%s,2026-03-02T10:30:15.250Z,1,%s\n", id, field, sum)
		list = append(list, map[string]any{"ArchiveId": id, "ArchiveDescription": description, "CreationDate": "2026-03-02T10:30:15.250Z", "Size": 1.0, "SHA256TreeHash": sum})
	}
	if got := string(b.output("v", b.job("v", "Type", "inventory-retrieval", "Format", "CSV")).body); got != csv.String() {
		t.Errorf("CSV (-want +got):\n%s", cmp.Diff(csv.String(), got))
	}
	var got map[string]any
	if err := json.Unmarshal(b.output("v", b.job("v", "Type", "inventory-retrieval", "Format", "JSON")).body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"VaultARN": arn + "v", "InventoryDate": "2026-03-02T10:30:15.250Z", "ArchiveList": list}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// Sizes that are told before the output is written are those of the output,
// after any history; and any range of it is that range.
func TestInventorySizes(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	var live []string
	rapid.Check(t, func(t *rapid.T) {
		b.client.t = b.T
		for range rapid.IntRange(0, 3).Draw(t, "uploads") {
			description := rapid.StringOfN(rapid.RuneFrom([]rune(`ab,"\ {}`)), 0, 20, -1).Draw(t, "description")
			size := rapid.SampledFrom([]int{1, 9, 10, 1000}).Draw(t, "size")
			live = append(live, b.upload("v", make([]byte, size), strings.Trim(description, " ")))
		}
		if len(live) > 0 && rapid.Bool().Draw(t, "delete") {
			i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
			b.do(204, "DELETE", "/-/vaults/v/archives/"+live[i], nil, nil)
			live = slices.Delete(live, i, i+1)
		}
		format := rapid.SampledFrom([]string{"JSON", "CSV"}).Draw(t, "format")
		parameters := rapid.SampledFrom([]string{`{}`, `{"Limit":"2"}`, `{"StartDate":"2000-01-01T00:00:00Z"}`, `{"EndDate":"2000-01-01T00:00:00Z"}`}).Draw(t, "parameters")
		job := b.jobOf(`{"Type":"inventory-retrieval","Format":"` + format + `","InventoryRetrievalParameters":` + parameters + `}`)
		whole := b.output("v", job).body
		if told := b.get(jobsPath + "/" + job)["InventorySizeInBytes"].(float64); int(told) != len(whole) {
			t.Fatalf("%s %s: %v bytes were told, %d came", format, parameters, told, len(whole))
		}
		first := rapid.IntRange(0, len(whole)-1).Draw(t, "first")
		last := rapid.IntRange(first, len(whole)-1).Draw(t, "last")
		part := b.output("v", job, "Range", fmt.Sprintf("bytes=%d-%d", first, last)).body
		if string(part) != string(whole[first:last+1]) {
			t.Fatalf("bytes %d-%d are %q, want %q", first, last, part, whole[first:last+1])
		}
	})
}

// jobOf starts a job from its JSON.
func (c client) jobOf(body string) string {
	c.t.Helper()
	return c.do(202, "POST", jobsPath, nil, []byte(body)).header.Get("x-amz-job-id")
}

// An inventory can be had in pages, by date, or both; the finished job says
// where the next one goes on.
func TestPartialInventories(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	var ids []string
	for i := range 10 { // one each hour from 10:30:15.250
		ids = append(ids, b.upload("v", []byte("x"), fmt.Sprint(i)))
		b.clock.advance(time.Hour)
	}
	list := func(parameters map[string]string) (got []string, described map[string]any) {
		t.Helper()
		text, _ := json.Marshal(parameters)
		job := b.jobOf(`{"Type":"inventory-retrieval","InventoryRetrievalParameters":` + string(text) + `}`)
		d := b.get(jobsPath + "/" + job)
		return b.inventory("v", job).ids(), d["InventoryRetrievalParameters"].(map[string]any)
	}
	for _, c := range []struct {
		parameters map[string]string
		want       []string
	}{
		{map[string]string{"StartDate": "2026-03-02T12:00:00Z"}, ids[2:]},
		{map[string]string{"EndDate": "2026-03-02T12:00:00Z"}, ids[:2]},
		{map[string]string{"StartDate": "2026-03-02T11:30:15.250Z", "EndDate": "2026-03-02T13:30:15.250Z"}, ids[1:3]}, // from, and before
		{map[string]string{"StartDate": "2026-03-02T13:30:00+01:00"}, ids[2:]},
		{map[string]string{"StartDate": "2027-01-01T00:00:00Z"}, nil},
		{map[string]string{"Limit": "10"}, ids},
		{map[string]string{"Limit": "11"}, ids},
	} {
		got, d := list(c.parameters)
		if !slices.Equal(got, c.want) || d["Marker"] != nil {
			t.Errorf("%v: %d archives, want %d; %v", c.parameters, len(got), len(c.want), d)
		}
	}
	for _, limit := range []int{1, 3, 5, 9} {
		parameters := map[string]string{"Limit": fmt.Sprint(limit), "StartDate": "2026-03-02T10:30:16Z"}
		var all []string
		for {
			got, d := list(parameters)
			all = append(all, got...)
			if d["Limit"] != fmt.Sprint(limit) || d["StartDate"] != "2026-03-02T10:30:16Z" || d["EndDate"] != nil {
				t.Errorf("parameters came back as %v", d)
			}
			if d["Marker"] == nil {
				break
			}
			if len(got) != limit {
				t.Fatalf("a page of %d with a marker, want %d", len(got), limit)
			}
			parameters["Marker"] = d["Marker"].(string)
		}
		if !slices.Equal(all, ids[1:]) {
			t.Errorf("limit %d: %d archives, want %d", limit, len(all), len(ids)-1)
		}
	}
}

// While a job is under way, Marker is still the one that was asked for.
func TestMarkerWhileInProgress(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	for range 3 {
		b.upload("v", []byte("x"), "")
	}
	b.clock.advance(day)
	job := b.jobOf(`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"Limit":"2"}}`)
	marker := func(job string) any {
		return b.get(jobsPath + "/" + job)["InventoryRetrievalParameters"].(map[string]any)["Marker"]
	}
	if m := marker(job); m != nil {
		t.Errorf("in progress: %v", m)
	}
	b.clock.advance(4 * time.Hour)
	next := marker(job)
	job = b.jobOf(`{"Type":"inventory-retrieval","InventoryRetrievalParameters":{"Limit":"2","Marker":"` + next.(string) + `"}}`)
	if m := marker(job); m != next {
		t.Errorf("second, in progress: %v, want %v", m, next)
	}
	b.clock.advance(4 * time.Hour)
	if m := marker(job); m != nil {
		t.Errorf("second, done: %v", m)
	}
}
