# Reads a grammar and command lines as JSON, and answers what Python's argparse
# makes of each: the values, or what it prints.
import argparse, contextlib, io, json, os, sys

os.environ["COLUMNS"] = "80"
given = json.load(sys.stdin)


def fill(parser, grammar, prog):
    for o in grammar["options"] or []:
        names = [n for n in (o["short"], o["long"]) if n]
        dest = (o["long"] or o["short"])
        if o["value"]:
            parser.add_argument(*names, dest=dest, metavar=o["value"], default=argparse.SUPPRESS, type=int if o["int"] else str)
        else:
            parser.add_argument(*names, dest=dest, action="store_true", default=argparse.SUPPRESS)
    for w in grammar["words"] or []:
        if w.endswith("+"):
            parser.add_argument("words_" + w, metavar=w[:-1], nargs="+")
        else:
            parser.add_argument(w)
    parser.set_defaults(prog=prog)
    if grammar["subs"]:
        subs = parser.add_subparsers()
        for s in grammar["subs"]:
            fill(subs.add_parser(s["name"]), s, prog + " " + s["name"])
    order[prog] = [("words_" + w if w.endswith("+") else w) for w in grammar["words"] or []]


def parse(line):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            got = vars(top.parse_args(line))
        except SystemExit:
            return out.getvalue() + err.getvalue()
    prog = got["prog"]
    words = []
    for w in order[prog]:
        words += got[w] if isinstance(got[w], list) else [got[w]]
    values = {}
    for k, v in got.items():
        if k.startswith("-"):
            values[k] = "" if v is True else str(v)
    return {"prog": prog, "values": values, "words": words}


order = {}
top = argparse.ArgumentParser(prog="glacier")
fill(top, given["grammar"], "glacier")
answers = []
for line in given["lines"]:
    a = parse(line)
    answers.append(a if isinstance(a, str) else json.dumps(a, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
json.dump(answers, sys.stdout)
