"""The session with boto3, and what boto3 offers above single operations."""
import io
import re

import boto3
import botocore.config
import botocore.exceptions

from session import Session
from stock import *

CONNECTION = dict(endpoint_url=ENDPOINT, config=botocore.config.Config(retries={"max_attempts": 0}))


class Client:
    lacks = set()
    hides = set()  # fields of GetJobOutput's answer that it doesn't show

    def __init__(self):
        self.glacier = boto3.client("glacier", **CONNECTION)

    def call(self, operation, **parameters):
        method = getattr(self.glacier, re.sub("(?<!^)(?=[A-Z])", "_", operation).lower())
        try:
            answer = method(**parameters)
        except botocore.exceptions.ClientError as error:
            raise Refused(error.response["Error"]["Code"], error.response["Error"]["Message"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        check("RequestId", answer.pop("ResponseMetadata")["RequestId"], ID)
        if "body" in answer:
            answer["body"] = answer["body"].read()
        return answer


def resources():
    """Vaults and archives as objects, paginators and waiters."""
    glacier = boto3.resource("glacier", **CONNECTION)
    client = glacier.meta.client
    vault = glacier.create_vault(accountId="-", vaultName="objects")
    client.get_waiter("vault_exists").wait(vaultName="objects", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    archive = vault.upload_archive(body=io.BytesIO(b"an object"), archiveDescription="object")
    upload = vault.initiate_multipart_upload(partSize=str(MIB))
    upload.upload_part(range="bytes 0-8/*", body=b"an object")
    check("parts", upload.parts()["Parts"], [{"RangeInBytes": "0-8", "SHA256TreeHash": tree_hash(b"an object")}])
    second = upload.complete(checksum=tree_hash(b"an object"), archiveSize="9")
    job = archive.initiate_archive_retrieval()
    advance(5 * HOUR)
    check("status", job.status_code, "Succeeded")
    check("output", job.get_output()["body"].read(), b"an object")
    jobs = {job.id}
    for _ in range(54):
        jobs.add(glacier.Archive("-", "objects", second["archiveId"]).initiate_archive_retrieval().id)
    pages = list(client.get_paginator("list_jobs").paginate(vaultName="objects"))
    check("pages of jobs", [len(p["JobList"]) for p in pages], [50, 5])
    check("jobs", {j["JobId"] for p in pages for j in p["JobList"]}, jobs)


Session(Client(), "boto3").run()
resources()
