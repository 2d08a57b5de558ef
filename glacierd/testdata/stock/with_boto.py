"""The session with boto 2, which many scripts from before 2015 still use, and
what its upper layer does."""
import io
import json
import os
import tempfile
import urllib.parse

import boto.glacier.concurrent
import boto.glacier.layer1
import boto.glacier.layer2
import boto.glacier.utils
import boto.glacier.writer
from boto.glacier.exceptions import UnexpectedHTTPResponseError
from boto.regioninfo import RegionInfo

from session import Session
from stock import *

# On Python 3 boto compares the hash of what it downloads with text, as bytes.
for module in boto.glacier.utils, boto.glacier.writer, boto.glacier.concurrent:
    module.bytes_to_hex = lambda b: b.hex()
# And it takes what it reads from a file to resume an upload for text.
boto.glacier.writer.generate_parts_from_fobj = lambda file, size: iter(lambda: file.read(size), b"")


def connect(named=True):
    """A connection to the server's address. boto takes the region and the
    service out of the host's name, which here is a number; named sets them."""
    url = urllib.parse.urlsplit(ENDPOINT)
    region = RegionInfo(name=REGION, endpoint=url.hostname)
    layer1 = boto.glacier.layer1.Layer1(region=region, port=url.port, is_secure=False)
    layer1.num_retries = 0
    if named:
        layer1._auth_handler.region_name = REGION
        layer1._auth_handler.service_name = "glacier"
    return layer1


# The fields that the documentation gives each answer; boto needs all of them,
# also where their value is null.
VAULT = {"CreationDate", "LastInventoryDate", "NumberOfArchives", "SizeInBytes", "VaultARN", "VaultName"}
JOB = {"Action", "ArchiveId", "ArchiveSHA256TreeHash", "ArchiveSizeInBytes", "Completed", "CompletionDate", "CreationDate",
       "InventoryRetrievalParameters", "InventorySizeInBytes", "JobDescription", "JobId", "JobOutputPath", "OutputLocation", "RetrievalByteRange",
       "SHA256TreeHash", "SNSTopic", "SelectParameters", "StatusCode", "StatusMessage", "Tier", "VaultARN"}
UPLOAD = {"ArchiveDescription", "CreationDate", "MultipartUploadId", "PartSizeInBytes", "VaultARN"}


class Client:
    lacks = {
        "SetVaultAccessPolicy", "GetVaultAccessPolicy", "DeleteVaultAccessPolicy",
        "InitiateVaultLock", "CompleteVaultLock", "AbortVaultLock", "GetVaultLock",
        "AddTagsToVault", "RemoveTagsFromVault", "ListTagsForVault",
        "SetDataRetrievalPolicy", "GetDataRetrievalPolicy", "PurchaseProvisionedCapacity", "ListProvisionedCapacity",
    }
    hides = {"acceptRanges", "archiveDescription"}

    def __init__(self):
        self.layer1 = connect()

    def call(self, operation, **parameters):
        try:
            answer = getattr(self, operation)(**parameters)
        except UnexpectedHTTPResponseError as error:
            body = json.loads(error.body)
            check("error", body, {"code": error.code, "message": body["message"], "type": "Client"})
            raise Refused(error.code, body["message"], error.status)
        check("RequestId", answer.pop("RequestId"), ID)
        names = {"Location": "location", "ArchiveId": "archiveId", "TreeHash": "checksum", "JobId": "jobId", "UploadId": "uploadId"}
        if "Location" in answer or operation == "UploadMultipartPart":
            answer = {names.get(k, k): v for k, v in answer.items()}
        return answer

    def fields(self, answer, want):
        got = set(answer) - {"RequestId"}
        if got != want:
            raise Wrong("the fields are %s; want %s" % (sorted(got), sorted(want)))
        return answer

    def CreateVault(self, vaultName):
        return self.layer1.create_vault(vaultName)

    def DescribeVault(self, vaultName):
        return self.fields(self.layer1.describe_vault(vaultName), VAULT)

    def ListVaults(self, limit=None, marker=None):
        answer = self.fields(self.layer1.list_vaults(limit, marker), {"VaultList", "Marker"})
        for vault in answer["VaultList"]:
            self.fields(vault, VAULT)
        return answer

    def DeleteVault(self, vaultName):
        return self.layer1.delete_vault(vaultName)

    def SetVaultNotifications(self, vaultName, vaultNotificationConfig):
        return self.layer1.set_vault_notifications(vaultName, vaultNotificationConfig)

    def GetVaultNotifications(self, vaultName):
        answer = self.layer1.get_vault_notifications(vaultName)
        return {"RequestId": answer.pop("RequestId"), "vaultNotificationConfig": answer}

    def DeleteVaultNotifications(self, vaultName):
        return self.layer1.delete_vault_notifications(vaultName)

    def UploadArchive(self, vaultName, body, archiveDescription=None, checksum=None):
        return self.layer1.upload_archive(vaultName, body, linear_hash(body), checksum or boto.glacier.utils.tree_hash_from_str(body), archiveDescription)

    def DeleteArchive(self, vaultName, archiveId):
        return self.layer1.delete_archive(vaultName, archiveId)

    def InitiateMultipartUpload(self, vaultName, partSize, archiveDescription=None):
        return self.layer1.initiate_multipart_upload(vaultName, partSize, archiveDescription)

    def UploadMultipartPart(self, vaultName, uploadId, range, body):
        first, last = range[len("bytes "):-len("/*")].split("-")
        return self.layer1.upload_part(vaultName, uploadId, linear_hash(body), boto.glacier.utils.tree_hash_from_str(body), (int(first), int(last)), body)

    def CompleteMultipartUpload(self, vaultName, uploadId, archiveSize, checksum):
        answer = self.layer1.complete_multipart_upload(vaultName, uploadId, checksum, archiveSize)
        answer["TreeHash"] = checksum  # it doesn't look for that header
        return answer

    def AbortMultipartUpload(self, vaultName, uploadId):
        return self.layer1.abort_multipart_upload(vaultName, uploadId)

    def ListMultipartUploads(self, vaultName, limit=None, marker=None):
        answer = self.fields(self.layer1.list_multipart_uploads(vaultName, limit, marker), {"UploadsList", "Marker"})
        for upload in answer["UploadsList"]:
            self.fields(upload, UPLOAD)
        return answer

    def ListParts(self, vaultName, uploadId, limit=None, marker=None):
        return self.fields(self.layer1.list_parts(vaultName, uploadId, limit, marker), UPLOAD | {"Parts", "Marker"})

    def InitiateJob(self, vaultName, jobParameters):
        return self.layer1.initiate_job(vaultName, jobParameters)

    def DescribeJob(self, vaultName, jobId):
        return self.fields(self.layer1.describe_job(vaultName, jobId), JOB)

    def ListJobs(self, vaultName, completed=None, statuscode=None, limit=None, marker=None):
        answer = self.layer1.list_jobs(vaultName, completed=completed and completed == "true", status_code=statuscode, limit=limit, marker=marker)
        for job in self.fields(answer, {"JobList", "Marker"})["JobList"]:
            self.fields(job, JOB)
        return answer

    def GetJobOutput(self, vaultName, jobId, range=None):
        if range is not None:
            range = tuple(int(n) for n in range[len("bytes="):].split("-"))
        answer = self.layer1.get_job_output(vaultName, jobId, range)
        got = {"RequestId": answer.pop("RequestId"), "status": answer.status, "size": int(answer.size)}
        for key, name in ("TreeHash", "checksum"), ("ContentRange", "contentRange"), ("ContentType", "contentType"):
            got[name] = answer.pop(key)
        # Of JSON it gives the value, not the text.
        got["body"] = json.dumps(answer).encode() if answer else answer.read()
        if not answer:
            check("Content-Length", got.pop("size"), len(got["body"]))
        return got


def upper_layer(folder):
    """Files up and down, in one piece, in parts, in parallel, resumed."""
    layer2 = boto.glacier.layer2.Layer2()
    layer2.layer1 = connect()
    vault = layer2.create_vault("boto-files")
    data = bytes_of(3, 5 * MIB + 99)
    path = os.path.join(folder, "file")
    with open(path, "wb") as file:
        file.write(data)
    archives = {
        "single": vault.upload_archive(path, "single"),
        "parts": vault.create_archive_from_file(path, description="parts"),
        "parallel": vault.concurrent_create_archive_from_file(path, "parallel", part_size=MIB, num_threads=4),
        "resumed": resumed(vault, data),
    }
    writer = vault.create_archive_writer(part_size=2 * MIB, description="written")
    for i in range(0, len(data), 700001):
        writer.write(data[i:i + 700001])
    writer.close()
    archives["written"] = writer.get_archive_id()
    jobs = {name: vault.retrieve_archive(archive, description=name) for name, archive in archives.items()}
    advance(5 * HOUR)
    for name, started in jobs.items():
        job = vault.get_job(started.id)
        check("job", (job.description, job.completed, job.archive_size, job.sha256_treehash), (name, True, len(data), tree_hash(data)))
        out = os.path.join(folder, name)
        job.download_to_file(out, chunk_size=2 * MIB)  # its last range ends behind the archive
        with open(out, "rb") as file:
            check(name, file.read(), data)
    job = vault.get_job(jobs["parallel"].id)
    out = os.path.join(folder, "in parallel")
    boto.glacier.concurrent.ConcurrentDownloader(job, part_size=MIB, num_threads=4).download(out)
    with open(out, "rb") as file:
        check("in parallel", file.read(), data)
    check("jobs", sorted(j.id for j in vault.list_jobs()), sorted(j.id for j in jobs.values()))


def resumed(vault, data):
    """An upload that breaks off after its second part, and goes on."""
    upload = vault.layer1.initiate_multipart_upload(vault.name, MIB, "resumed")["UploadId"]
    for i in 0, 1:
        part = data[i * MIB:(i + 1) * MIB]
        vault.layer1.upload_part(vault.name, upload, linear_hash(part), tree_hash(part), (i * MIB, (i + 1) * MIB - 1), part)
    return vault.resume_archive_from_file(upload, file_obj=io.BytesIO(data))


def unnamed():
    """Scripts that don't set the names sign for the region 0 and the service
    127, when the host is 127.0.0.1."""
    check("vaults", sorted(v["VaultName"] for v in connect(named=False).list_vaults()["VaultList"]), ["boto-files"])


Session(Client(), "boto").run()
with tempfile.TemporaryDirectory() as folder:
    upper_layer(folder)
unnamed()
