"""The session with the aws command of Debian's awscli."""
import json
import os
import re
import subprocess
import sys
import tempfile

from session import Session
from stock import *

AWS = sys.argv[1]

try:
    from awscli.clidriver import main as aws_main
except ImportError:
    aws_main = None  # it isn't written for this Python, or comes as a binary


def forked(arguments):
    """What the aws command does, in a child of this process."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 255
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.argv = [AWS] + list(arguments)
                code = aws_main()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), out.read(), err.read())


def kebab(name):
    return re.sub("(?<=[a-z])(?=[A-Z])", "-", name).lower()


class Client:
    lacks = set()
    hides = set()

    def __init__(self, folder):
        self.folder = folder
        self.succeeded = set()  # subcommands

    def aws(self, *arguments):
        """Run the command. Most of its time goes into loading itself: once a
        subcommand has succeeded in a process of its own, it is run in forks
        of this one, which has loaded the same."""
        arguments = ("--endpoint-url", ENDPOINT, "--output", "json", "glacier") + arguments
        if aws_main is not None and arguments[5] in self.succeeded:
            return forked(arguments)
        done = subprocess.run((AWS,) + arguments, capture_output=True)
        if done.returncode == 0:
            self.succeeded.add(arguments[5])
        return done

    def call(self, operation, **parameters):
        arguments = [kebab(operation), "--account-id=-"]
        for name, value in parameters.items():
            arguments.append("--%s=%s" % (kebab(name), self.argument(name, value)))
        if operation.startswith("List"):
            arguments.append("--no-paginate")  # one request for one answer, with its marker
        output = os.path.join(self.folder, "output")
        if operation == "GetJobOutput":
            arguments.append(output)
        done = self.aws(*arguments)
        if done.returncode != 0:
            self.refuse(operation, done)
        answer = json.loads(done.stdout) if done.stdout.strip() else {}
        if operation == "GetJobOutput":
            with open(output, "rb") as file:
                answer["body"] = file.read()
        return answer

    def argument(self, name, value):
        """A parameter as the command line has it: bodies are files."""
        if name == "body":
            path = os.path.join(self.folder, "body")
            with open(path, "wb") as file:
                file.write(value)
            return path
        return value if isinstance(value, str) else json.dumps(value)

    def refuse(self, operation, done):
        text = done.stderr.decode()
        found = re.search(r"An error occurred \((\w+)\) when calling the (\w+) operation(?: \(reached max retries: 0\))?: (.*)", text, re.DOTALL)
        if done.returncode != 254 or found is None or found.group(2) != operation:
            raise Wrong("aws glacier %s: exit %d: %s" % (kebab(operation), done.returncode, text))
        raise Refused(found.group(1), found.group(3).strip())


def extras(client):
    """What aws does besides single operations: waiting, and following pages."""
    for name in "aws-a", "aws-b", "aws-c":
        client.call("CreateVault", vaultName=name)
    if client.aws("wait", "vault-exists", "--account-id=-", "--vault-name=aws-a").returncode != 0:
        raise Wrong("wait vault-exists")
    listed = client.aws("list-vaults", "--account-id=-", "--page-size=2", "--query=VaultList[?starts_with(VaultName, `aws-`)].VaultName", "--output=text")
    check("list-vaults", listed.stdout.decode().split(), ["aws-a", "aws-b", "aws-c"])
    for name in "aws-a", "aws-b", "aws-c":
        client.call("DeleteVault", vaultName=name)
    if client.aws("wait", "vault-not-exists", "--account-id=-", "--vault-name=aws-a").returncode != 0:
        raise Wrong("wait vault-not-exists")


with tempfile.TemporaryDirectory() as folder:
    client = Client(folder)
    Session(client, "aws").run()
    extras(client)
