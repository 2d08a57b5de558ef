"""A full session with the service, in the words of boto3; each client
translates them. Everything that is answered is checked."""
import json

from stock import *


class Session:
    """One client at work on the vault NAME. The client has a method

        call(operation, **parameters) -> dict

    that raises Refused, and knows in a set called lacks which operations it
    has no call for."""

    def __init__(self, client, name):
        self.client = client
        self.vault = name
        self.began = now()
        self.archives = {}  # id: what the inventory should say of it

    def call(self, operation, **parameters):
        answer = self.client.call(operation, **parameters)
        print("ok", operation, flush=True)
        return answer

    def on_vault(self, operation, **parameters):
        return self.call(operation, vaultName=self.vault, **parameters)

    def expect(self, want, operation, **parameters):
        check(operation, self.on_vault(operation, **parameters), want)

    def refused(self, code, message, operation, **parameters):
        parameters.setdefault("vaultName", self.vault)
        refused(code, message, self.client.call, operation, **parameters)

    def has(self, *operations):
        return not self.client.lacks.intersection(operations)

    def arn(self, vault=None):
        return "arn:aws:glacier:%s:%s:vaults/%s" % (REGION, ACCOUNT, vault or self.vault)

    def path(self, *rest):
        return "/".join(("", ACCOUNT, "vaults", self.vault) + rest)

    def run(self):
        for part in (self.vaults, self.tags, self.notifications, self.access_policy, self.upload, self.multipart,
                     self.jobs, self.ranged_jobs, self.inventories, self.expiry, self.retrieval_policy, self.capacity, self.lock, self.end):
            part()

    # Vaults

    def vaults(self):
        check("ListVaults", self.call("ListVaults"), {"VaultList": []})
        self.refused("ResourceNotFoundException", "^Vault not found for ARN: %s$" % self.arn(), "DescribeVault")
        self.expect({"location": self.path()}, "CreateVault")
        self.expect({"location": self.path()}, "CreateVault")  # again: the same
        self.expect(self.described(self.vault), "DescribeVault")
        others = [self.vault + suffix for suffix in (".b", "_c")]
        for name in others:
            self.call("CreateVault", vaultName=name)
        names = sorted(others + [self.vault])
        page = self.call("ListVaults", limit="2")
        check("ListVaults", page, {"VaultList": [self.described(n) for n in names[:2]], "Marker": self.arn(names[1])})
        page = self.call("ListVaults", limit="2", marker=page["Marker"])
        check("ListVaults", page, {"VaultList": [self.described(names[2])]})
        for name in others:
            check("DeleteVault", self.call("DeleteVault", vaultName=name), {})
        check("ListVaults", self.call("ListVaults"), {"VaultList": [self.described(self.vault)]})

    def described(self, name):
        """A vault that has no inventory yet."""
        return {"CreationDate": stamp(self.began), "NumberOfArchives": 0, "SizeInBytes": 0, "VaultARN": self.arn(name), "VaultName": name}

    def tags(self):
        if not self.has("AddTagsToVault"):
            return
        self.expect({"Tags": {}}, "ListTagsForVault")
        self.expect({}, "AddTagsToVault", Tags={"place": "attic", "empty": "", "n": "1"})
        self.expect({}, "AddTagsToVault", Tags={"place": "cellar + 2nd"})
        self.expect({"Tags": {"place": "cellar + 2nd", "empty": "", "n": "1"}}, "ListTagsForVault")
        self.expect({}, "RemoveTagsFromVault", TagKeys=["empty", "unknown"])
        self.expect({"Tags": {"place": "cellar + 2nd", "n": "1"}}, "ListTagsForVault")
        self.refused("InvalidParameterValueException", "aws:", "AddTagsToVault", Tags={"aws:x": "1"})

    def notifications(self):
        config = {"SNSTopic": "arn:aws:sns:%s:%s:ready" % (REGION, ACCOUNT), "Events": ["ArchiveRetrievalCompleted", "InventoryRetrievalCompleted"]}
        self.refused("ResourceNotFoundException", ".", "GetVaultNotifications")
        self.expect({}, "SetVaultNotifications", vaultNotificationConfig=config)
        self.expect({"vaultNotificationConfig": config}, "GetVaultNotifications")
        self.refused("InvalidParameterValueException", "Melted", "SetVaultNotifications", vaultNotificationConfig=dict(config, Events=["Melted"]))
        self.expect({}, "DeleteVaultNotifications")
        self.expect({}, "DeleteVaultNotifications")
        self.refused("ResourceNotFoundException", ".", "GetVaultNotifications")

    def access_policy(self):
        if not self.has("SetVaultAccessPolicy"):
            return
        text = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "readers", "Effect": "Allow", "Principal": {"AWS": "*"},
                                                                   "Action": "glacier:ListJobs", "Resource": self.arn()}]}, indent=1)
        self.refused("ResourceNotFoundException", ".", "GetVaultAccessPolicy")
        self.expect({}, "SetVaultAccessPolicy", policy={"Policy": text})
        self.expect({"policy": {"Policy": text}}, "GetVaultAccessPolicy")
        self.expect({}, "DeleteVaultAccessPolicy")
        self.expect({}, "DeleteVaultAccessPolicy")
        self.refused("ResourceNotFoundException", ".", "GetVaultAccessPolicy")

    # Archives

    def upload(self):
        self.small = bytes_of(1, 3 * MIB + 17)
        description = 'a "quoted", small one \\ with a backslash'
        answer = self.on_vault("UploadArchive", body=self.small, archiveDescription=description)
        self.small_id = self.stored(answer, self.small, description)
        again = self.on_vault("UploadArchive", body=self.small)
        self.stored(again, self.small, "")
        if again["archiveId"] == self.small_id:
            raise Wrong("two uploads, one id")
        self.refused("InvalidParameterValueException", "^Invalid Content-Length: 0$", "UploadArchive", body=b"")
        wrong = tree_hash(b"something else")
        self.refused("InvalidParameterValueException", "^Checksum mismatch: expected %s, computed %s$" % (wrong, tree_hash(b"abc")),
                     "UploadArchive", body=b"abc", checksum=wrong)
        self.refused("ResourceNotFoundException", "^Vault not found for ARN: ", "UploadArchive", vaultName="nowhere", body=b"abc")

    def stored(self, answer, data, description):
        """Check what came back for an archive, and remember it."""
        check("archiveId", answer["archiveId"], ARCHIVE_ID)
        check("archive", answer, {"archiveId": ARCHIVE_ID, "checksum": tree_hash(data), "location": self.path("archives", answer["archiveId"])})
        self.archives[answer["archiveId"]] = {"ArchiveId": answer["archiveId"], "ArchiveDescription": description, "CreationDate": stamp(now()),
                                              "Size": len(data), "SHA256TreeHash": tree_hash(data)}
        return answer["archiveId"]

    def multipart(self):
        self.large = bytes_of(2, 4 * MIB + 12345)
        size = 2 * MIB
        parts = [self.large[i:i + size] for i in range(0, len(self.large), size)]
        for bad in "3000000", "524288":
            self.refused("InvalidParameterValueException", "^Invalid part size: %s. Part size must not be null, must be a power of two and "
                         "be between 1048576 and 4294967296 bytes.$" % bad, "InitiateMultipartUpload", partSize=bad, archiveDescription="x")
        answer = self.on_vault("InitiateMultipartUpload", partSize=str(size), archiveDescription="in parts")
        upload = answer["uploadId"]
        check("InitiateMultipartUpload", answer, {"uploadId": ID, "location": self.path("multipart-uploads", upload)})
        for i in 2, 0, 0:
            self.part(upload, i * size, parts[i])
        self.refused("InvalidParameterValueException", "^Content-Range: bytes 0-%d/\\* is incompatible with Content-Length: 3$" % (size - 1),
                     "UploadMultipartPart", uploadId=upload, range="bytes 0-%d/*" % (size - 1), body=b"abc")
        self.refused("InvalidParameterValueException", ".", "UploadMultipartPart", uploadId=upload, range="bytes 5-7/*", body=b"abc")
        self.refused("InvalidParameterValueException", ".", "CompleteMultipartUpload", uploadId=upload, archiveSize=str(len(self.large)), checksum=tree_hash(self.large))
        self.part(upload, size, parts[1])
        self.list_parts(upload, parts, size)
        self.list_uploads(upload, size)
        self.refused("InvalidParameterValueException", "^Checksum mismatch: expected 0{64}, computed %s$" % tree_hash(self.large),
                     "CompleteMultipartUpload", uploadId=upload, archiveSize=str(len(self.large)), checksum="0" * 64)
        complete = dict(uploadId=upload, archiveSize=str(len(self.large)), checksum=tree_hash(self.large))
        self.large_id = self.stored(self.on_vault("CompleteMultipartUpload", **complete), self.large, "in parts")
        check("CompleteMultipartUpload", self.on_vault("CompleteMultipartUpload", **complete)["archiveId"], self.large_id)
        self.refused("ResourceNotFoundException", upload, "ListParts", uploadId=upload)
        self.expect({"UploadsList": []}, "ListMultipartUploads")

    def part(self, upload, start, data):
        self.expect({"checksum": tree_hash(data)}, "UploadMultipartPart", uploadId=upload, range="bytes %d-%d/*" % (start, start + len(data) - 1), body=data)

    def list_parts(self, upload, parts, size):
        rows = [{"RangeInBytes": "%d-%d" % (i * size, i * size + len(p) - 1), "SHA256TreeHash": tree_hash(p)} for i, p in enumerate(parts)]
        head = {"ArchiveDescription": "in parts", "CreationDate": stamp(now()), "MultipartUploadId": upload, "PartSizeInBytes": size, "VaultARN": self.arn()}
        self.expect(dict(head, Parts=rows), "ListParts", uploadId=upload)
        page = self.on_vault("ListParts", uploadId=upload, limit="2")
        marker = page.pop("Marker")
        check("ListParts", page, dict(head, Parts=rows[:2]))
        self.expect(dict(head, Parts=rows[2:]), "ListParts", uploadId=upload, limit="2", marker=marker)

    def list_uploads(self, upload, size):
        """A second upload, to have a list of two; then it is aborted."""
        other = self.on_vault("InitiateMultipartUpload", partSize=str(MIB))["uploadId"]
        self.part(other, 0, b"never completed")
        rows = {upload: {"ArchiveDescription": "in parts", "CreationDate": stamp(now()), "MultipartUploadId": upload, "PartSizeInBytes": size, "VaultARN": self.arn()},
                other: {"CreationDate": stamp(now()), "MultipartUploadId": other, "PartSizeInBytes": MIB, "VaultARN": self.arn()}}
        seen = []
        page = self.on_vault("ListMultipartUploads", limit="1")
        seen += page["UploadsList"]
        page = self.on_vault("ListMultipartUploads", limit="1", marker=page["Marker"])
        seen += page["UploadsList"]
        check("ListMultipartUploads", page.get("Marker"), None)
        check("ListMultipartUploads", {row["MultipartUploadId"]: row for row in seen}, rows)
        for _ in range(2):
            self.expect({}, "AbortMultipartUpload", uploadId=other)
        self.refused("ResourceNotFoundException", other, "ListParts", uploadId=other)
        self.expect({"UploadsList": [rows[upload]]}, "ListMultipartUploads")

    # Jobs

    def start(self, **parameters):
        answer = self.on_vault("InitiateJob", jobParameters=parameters)
        check("InitiateJob", answer, {"jobId": ID, "location": self.path("jobs", answer["jobId"])})
        return answer["jobId"]

    def job(self, job, archive=None, data=None, tier=None, bytes=None, done=None, **more):
        """What DescribeJob should say of a job that was started just now; done
        is how long it took, if it is."""
        want = {"JobId": job, "VaultARN": self.arn(), "CreationDate": stamp(self.started), "Completed": done is not None}
        want.update({"StatusCode": "InProgress", "StatusMessage": "Operation in progress."} if done is None else
                    {"StatusCode": "Succeeded", "StatusMessage": "Succeeded", "CompletionDate": stamp(later(self.started, done))})
        if archive:
            first, last = bytes or (0, len(data) - 1)
            want.update({"Action": "ArchiveRetrieval", "ArchiveId": archive, "ArchiveSizeInBytes": len(data), "ArchiveSHA256TreeHash": tree_hash(data),
                         "Tier": tier, "RetrievalByteRange": "%d-%d" % (first, last)})
            if done is not None and is_node(len(data), first, last):
                want["SHA256TreeHash"] = tree_hash(data[first:last + 1])
        want.update(more)
        return want

    def jobs(self):
        self.refused("ResourceNotFoundException", ".", "InitiateJob", jobParameters={"Type": "inventory-retrieval"})
        self.expect({"JobList": []}, "ListJobs")
        self.started = now()
        topic = "arn:aws:sns:%s:%s:ready" % (REGION, ACCOUNT)
        fast = self.start(Type="archive-retrieval", ArchiveId=self.small_id, Tier="Expedited", Description="a fast one", SNSTopic=topic)
        usual = self.start(Type="archive-retrieval", ArchiveId=self.large_id)
        slow = self.start(Type="archive-retrieval", ArchiveId=self.large_id, Tier="Bulk")
        self.refused("InvalidParameterValueException", ".", "InitiateJob", jobParameters={"Type": "archive-retrieval", "ArchiveId": self.small_id, "Tier": "Lukewarm"})
        self.refused("ResourceNotFoundException", "^The archive ID was not found: none$", "InitiateJob", jobParameters={"Type": "archive-retrieval", "ArchiveId": "none"})
        self.refused("InvalidParameterValueException", ".", "InitiateJob", jobParameters={"Type": "select", "ArchiveId": self.small_id})
        self.refused("ResourceNotFoundException", "^The job ID was not found: none$", "DescribeJob", jobId="none")
        self.refused("InvalidParameterValueException", "^The job is not currently available for download: %s$" % fast, "GetJobOutput", jobId=fast)
        described = {fast: (self.small_id, self.small, "Expedited"), usual: (self.large_id, self.large, "Standard"), slow: (self.large_id, self.large, "Bulk")}
        more = {fast: {"JobDescription": "a fast one", "SNSTopic": topic}, usual: {}, slow: {}}
        for hours, done in ((0, {}), (0.1, {fast: 5 * MINUTE}), (5, {fast: 5 * MINUTE, usual: 5 * HOUR}), (12, {fast: 5 * MINUTE, usual: 5 * HOUR, slow: 12 * HOUR})):
            advance(self.started.timestamp() + hours * HOUR - now().timestamp() + 1)
            rows = {j: self.job(j, *described[j], done=done.get(j), **more[j]) for j in described}
            self.list_jobs([fast, usual, slow], rows)
        for j in rows:
            check("DescribeJob", self.on_vault("DescribeJob", jobId=j), rows[j])
        self.output(fast, self.small, {"archiveDescription": self.archives[self.small_id]["ArchiveDescription"]})
        self.output(usual, self.large, {"archiveDescription": "in parts"})
        self.output(slow, self.large, {"archiveDescription": "in parts"})

    def list_jobs(self, ids, rows):
        self.expect({"JobList": [rows[j] for j in ids]}, "ListJobs")
        page = self.on_vault("ListJobs", limit="2")
        check("ListJobs", page["JobList"], [rows[j] for j in ids[:2]])
        self.expect({"JobList": [rows[j] for j in ids[2:]]}, "ListJobs", limit="2", marker=page["Marker"])
        for completed in "true", "false":
            self.expect({"JobList": [rows[j] for j in ids if rows[j]["Completed"] == (completed == "true")]}, "ListJobs", completed=completed)
        for status in "InProgress", "Succeeded", "Failed":
            self.expect({"JobList": [rows[j] for j in ids if rows[j]["StatusCode"] == status]}, "ListJobs", statuscode=status)
        self.refused("InvalidParameterValueException", "^The job status code is not valid: finished$", "ListJobs", statuscode="finished")

    def output(self, job, data, head):
        """The whole output of an archive job, and ranges of it."""
        whole = dict(head, body=data, status=200, contentType="application/octet-stream", acceptRanges="bytes", checksum=tree_hash(data))
        self.got(whole, jobId=job)
        end = len(data) - 1
        for first, last in (0, MIB - 1), (0, 2 * MIB - 1), (2 * MIB, end), (4 * MIB, end), (MIB, 3 * MIB - 1), (5, 9), (end, end):
            if first > end:
                continue
            want = dict(head, body=data[first:last + 1], status=206, contentType="application/octet-stream", acceptRanges="bytes",
                        contentRange="bytes %d-%d/%d" % (first, last, len(data)))
            if is_node(len(data), first, last):
                want["checksum"] = tree_hash(data[first:last + 1])
            self.got(want, jobId=job, range="bytes=%d-%d" % (first, last))

    def got(self, want, **parameters):
        """Clients show more or less of an answer's head; what they show must
        be right."""
        got = drop_nulls(self.on_vault("GetJobOutput", **parameters))
        for hidden in self.client.hides:
            want.pop(hidden, None)
        check("GetJobOutput", got, want)

    def ranged_jobs(self):
        """Jobs for a part of an archive: positions in the output are relative."""
        self.started = now()
        for bad in "5-1048575", "0-1048576", "0-99999999", "1048576-0":
            self.refused("InvalidParameterValueException", ".", "InitiateJob",
                         jobParameters={"Type": "archive-retrieval", "ArchiveId": self.large_id, "RetrievalByteRange": bad})
        node, span = (2 * MIB, 4 * MIB - 1), (MIB, len(self.large) - 1)
        jobs = [(self.start(Type="archive-retrieval", ArchiveId=self.large_id, Tier="Expedited", RetrievalByteRange="%d-%d" % r), r) for r in (node, span)]
        advance(5 * MINUTE)
        for job, bytes in jobs:
            want = self.job(job, self.large_id, self.large, "Expedited", bytes=bytes, done=5 * MINUTE)
            check("DescribeJob", self.on_vault("DescribeJob", jobId=job), want)
            data = self.large[bytes[0]:bytes[1] + 1]
            head = dict(archiveDescription="in parts", contentType="application/octet-stream", acceptRanges="bytes")
            whole = dict(head, status=200, body=data)
            first = dict(head, status=206, body=data[:MIB], contentRange="bytes 0-%d/%d" % (MIB - 1, len(data)))
            if bytes == node:
                whole["checksum"], first["checksum"] = tree_hash(data), tree_hash(data[:MIB])
            self.got(whole, jobId=job)
            self.got(first, jobId=job, range="bytes=0-%d" % (MIB - 1))

    def inventories(self):
        """A day after the uploads there is an inventory."""
        advance(24 * HOUR)
        vault = self.on_vault("DescribeVault")
        size = sum(a["Size"] for a in self.archives.values()) + 32768 * len(self.archives)
        date = matches(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d\d\d)?Z")
        check("DescribeVault", vault, dict(self.described(self.vault), LastInventoryDate=date, NumberOfArchives=len(self.archives), SizeInBytes=size))
        late = self.on_vault("UploadArchive", body=b"too late for this inventory", archiveDescription="late")
        self.started = now()
        plain = self.start(Type="inventory-retrieval", Description="all of it")
        table = self.start(Type="inventory-retrieval", Format="CSV")
        first = self.start(Type="inventory-retrieval", Format="JSON", InventoryRetrievalParameters={"Limit": "2", "StartDate": stamp(self.began), "EndDate": stamp(now())})
        running = {"Action": "InventoryRetrieval", "InventoryRetrievalParameters": {"Format": "JSON"}, "JobDescription": "all of it"}
        check("DescribeJob", self.on_vault("DescribeJob", jobId=plain), self.job(plain, **running))
        advance(4 * HOUR)
        bodies = {j: self.inventory(j, form) for j, form in ((plain, "application/json"), (table, "text/csv"), (first, "application/json"))}
        check("DescribeJob", self.on_vault("DescribeJob", jobId=plain), self.job(plain, done=4 * HOUR, InventorySizeInBytes=bodies[plain][1], **running))
        self.json_inventory(bodies[plain][0], list(self.archives.values()))
        self.csv_inventory(bodies[table][0])
        self.paged_inventory(first, bodies[first][0])
        self.stored(late, b"too late for this inventory", "late")
        self.archives[late["archiveId"]]["CreationDate"] = stamp(self.started)

    def inventory(self, job, form):
        """The output of an inventory job, as text, and its length."""
        answer = drop_nulls(self.on_vault("GetJobOutput", jobId=job))
        body = answer.pop("body")
        want = dict(status=200, contentType=form, acceptRanges="bytes")
        for hidden in self.client.hides:
            want.pop(hidden, None)
        size = answer.pop("size", len(body))
        check("GetJobOutput", answer, want)
        return body.decode("ascii"), size

    def json_inventory(self, text, archives):
        inventory = json.loads(text)
        date = matches(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        inventory["ArchiveList"].sort(key=lambda a: a["ArchiveId"])
        check("inventory", inventory, {"VaultARN": self.arn(), "InventoryDate": date, "ArchiveList": sorted(archives, key=lambda a: a["ArchiveId"])})

    def csv_inventory(self, text):
        head, *rows = text.splitlines()
        check("CSV head", head, "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash")
        want = []
        for a in self.archives.values():
            description = a["ArchiveDescription"]
            if '"' in description or "," in description:
                description = '"%s"' % description.replace('"', '\\"')
            want.append(",".join((a["ArchiveId"], description, a["CreationDate"], str(a["Size"]), a["SHA256TreeHash"])))
        check("CSV", sorted(rows), sorted(want))

    def paged_inventory(self, first, text):
        """An inventory in two pages; the first one's marker begins the second."""
        page = json.loads(text)["ArchiveList"]
        check("page", len(page), 2)
        parameters = self.on_vault("DescribeJob", jobId=first)["InventoryRetrievalParameters"]
        marker = parameters.pop("Marker")
        check("parameters", parameters, {"Format": "JSON", "Limit": "2", "StartDate": stamp(self.began), "EndDate": stamp(self.started)})
        second = self.start(Type="inventory-retrieval", InventoryRetrievalParameters=dict(Limit="2", Marker=marker, StartDate=stamp(self.began), EndDate=stamp(self.started)))
        advance(4 * HOUR)
        rest = json.loads(self.inventory(second, "application/json")[0])
        rest["ArchiveList"] += page
        self.json_inventory(json.dumps(rest), list(self.archives.values()))
        parameters = drop_nulls(self.on_vault("DescribeJob", jobId=second)["InventoryRetrievalParameters"])
        check("Marker", parameters.get("Marker"), None)

    def expiry(self):
        """Outputs are there for a day."""
        job = self.start(Type="archive-retrieval", ArchiveId=self.small_id, Tier="Expedited")
        advance(5 * MINUTE + 24 * HOUR - 1)
        check("GetJobOutput", self.on_vault("GetJobOutput", jobId=job)["body"], self.small)
        advance(1)
        for operation in "GetJobOutput", "DescribeJob":
            self.refused("ResourceNotFoundException", "^The job ID was not found: %s$" % job, operation, jobId=job)
        self.expect({"JobList": []}, "ListJobs")

    # The account

    def retrieval_policy(self):
        if not self.has("SetDataRetrievalPolicy"):
            return
        rule = lambda **fields: {"Policy": {"Rules": [fields]}}
        check("GetDataRetrievalPolicy", self.call("GetDataRetrievalPolicy"), rule(Strategy="None"))
        limit = rule(Strategy="BytesPerHour", BytesPerHour=len(self.small))
        check("SetDataRetrievalPolicy", self.call("SetDataRetrievalPolicy", **limit), {})
        check("GetDataRetrievalPolicy", self.call("GetDataRetrievalPolicy"), limit)
        retrieve = dict(Type="archive-retrieval", ArchiveId=self.small_id)
        self.start(**retrieve)
        self.refused("PolicyEnforcedException", "denied by current data retrieval policy", "InitiateJob", jobParameters=retrieve)
        self.start(Tier="Bulk", **retrieve)
        advance(HOUR)
        self.start(**retrieve)
        free = rule(Strategy="FreeTier")
        check("SetDataRetrievalPolicy", self.call("SetDataRetrievalPolicy", **free), {})
        check("GetDataRetrievalPolicy", self.call("GetDataRetrievalPolicy"), free)
        refused("InvalidParameterValueException", ".", self.client.call, "SetDataRetrievalPolicy", **rule(Strategy="Thrift"))
        self.call("SetDataRetrievalPolicy", **rule(Strategy="None"))

    def capacity(self):
        if not self.has("PurchaseProvisionedCapacity"):
            return
        check("ListProvisionedCapacity", self.call("ListProvisionedCapacity"), {"ProvisionedCapacityList": []})
        bought = [self.call("PurchaseProvisionedCapacity")["capacityId"] for _ in range(2)]
        refused("LimitExceededException", ".", self.client.call, "PurchaseProvisionedCapacity")
        units = self.call("ListProvisionedCapacity")["ProvisionedCapacityList"]
        bought_at = now()
        month = bought_at.replace(year=bought_at.year + bought_at.month // 12, month=bought_at.month % 12 + 1)
        check("ListProvisionedCapacity", sorted(u["CapacityId"] for u in units), sorted(bought))
        for unit in units:
            check("ListProvisionedCapacity", unit, {"CapacityId": ID, "StartDate": stamp(bought_at), "ExpirationDate": stamp(month)})

    # Locks

    def lock(self):
        if not self.has("InitiateVaultLock"):
            return
        open_vault, self.vault = self.vault, self.vault + ".locked"
        self.on_vault("CreateVault")
        kept = self.on_vault("UploadArchive", body=b"kept")["archiveId"]
        deny = {"Sid": "a-week", "Principal": "*", "Effect": "Deny", "Action": "glacier:DeleteArchive", "Resource": self.arn(),
                "Condition": {"NumericLessThan": {"glacier:ArchiveAgeInDays": "7"}}}
        text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        self.refused("ResourceNotFoundException", ".", "GetVaultLock")
        self.expect({}, "AbortVaultLock")
        self.expect({"lockId": ID}, "InitiateVaultLock", policy={"Policy": text})
        began = now()
        state = {"Policy": text, "State": "InProgress", "CreationDate": stamp(began), "ExpirationDate": stamp(later(began, DAY))}
        self.expect(state, "GetVaultLock")
        self.refused("AccessDeniedException", ".", "InitiateVaultLock", policy={"Policy": text})
        self.refused("InvalidParameterValueException", ".", "CompleteVaultLock", lockId="wrong")
        self.refused("AccessDeniedException", "DeleteArchive", "DeleteArchive", archiveId=kept)
        self.expect({}, "AbortVaultLock")
        self.refused("ResourceNotFoundException", ".", "GetVaultLock")
        expired = self.on_vault("InitiateVaultLock", policy={"Policy": text})["lockId"]
        advance(DAY)
        self.refused("ResourceNotFoundException", ".", "GetVaultLock")
        self.refused("ResourceNotFoundException", ".", "CompleteVaultLock", lockId=expired)
        lock = self.on_vault("InitiateVaultLock", policy={"Policy": text})["lockId"]
        began = now()
        for _ in range(2):
            self.expect({}, "CompleteVaultLock", lockId=lock)
        self.refused("AccessDeniedException", ".", "CompleteVaultLock", lockId="wrong")
        self.refused("AccessDeniedException", ".", "AbortVaultLock")
        self.expect({"Policy": text, "State": "Locked", "CreationDate": stamp(began)}, "GetVaultLock")
        advance(5 * DAY)
        self.refused("AccessDeniedException", "DeleteArchive", "DeleteArchive", archiveId=kept)
        advance(1 * DAY)
        self.expect({}, "DeleteArchive", archiveId=kept)
        self.vault = open_vault

    # The end

    def end(self):
        full = "^Vault not empty or recently written to: %s$" % self.arn()
        self.refused("InvalidParameterValueException", full, "DeleteVault")
        elsewhere = self.vault + ".elsewhere"
        self.call("CreateVault", vaultName=elsewhere)
        self.refused("InvalidParameterValueException", "^Invalid vault name: %s$" % self.arn(elsewhere), "DeleteArchive", vaultName=elsewhere, archiveId=self.small_id)
        self.call("DeleteVault", vaultName=elsewhere)
        job = self.start(Type="archive-retrieval", ArchiveId=self.small_id)
        for archive in self.archives:
            for _ in range(2):
                self.expect({}, "DeleteArchive", archiveId=archive)
        failed = self.on_vault("DescribeJob", jobId=job)
        check("DescribeJob", (failed["StatusCode"], failed["Completed"]), ("Failed", True))
        self.refused("ResourceNotFoundException", "^The archive ID was not found: ", "InitiateJob", jobParameters={"Type": "archive-retrieval", "ArchiveId": self.small_id})
        check("DescribeVault", self.on_vault("DescribeVault")["NumberOfArchives"], len(self.archives))  # until the next inventory
        self.refused("InvalidParameterValueException", full, "DeleteVault")
        advance(25 * HOUR)
        check("DescribeVault", self.on_vault("DescribeVault")["NumberOfArchives"], 0)
        for _ in range(2):
            self.expect({}, "DeleteVault")
        self.refused("ResourceNotFoundException", "^Vault not found for ARN: %s$" % self.arn(), "DescribeVault")
