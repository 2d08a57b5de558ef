"""Print the hashes of files as other implementations compute them: a line for
each file, with the tree hash by botocore and both hashes by boto 2."""
import sys

import boto.glacier.utils
from botocore.utils import calculate_tree_hash

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        tree = calculate_tree_hash(file)
        file.seek(0)
        linear, other = boto.glacier.utils.compute_hashes_from_fileobj(file)
    print(tree, other.decode(), linear)
