"""Reading a trace as ui.perfetto.dev does, with complaints about what it would not show as meant."""
import collections
import json


class Trace:
    def __init__(self, path):
        def unique(pairs):
            names = [name for name, _ in pairs]
            assert len(names) == len(set(names)), f"a name twice in one object: {names}"
            return dict(pairs)
        with open(path, encoding="utf-8") as file:
            self.document = json.load(file, object_pairs_hook=unique)
        self.events = self.document["traceEvents"]
        self.dropped = self.document["otherData"]["dropped_events"]

    def of(self, phase, category=None):
        return [e for e in self.events
                if e["ph"] == phase and (category is None or e.get("cat") == category)]

    def slices(self, category):
        return self.of("X", category)

    def instants(self, name):
        return [e for e in self.of("i") if e["name"] == name]

    def processes(self):
        return {e["pid"]: e["args"]["name"] for e in self.of("M") if e["name"] == "process_name"}

    def threads(self):
        return {(e["pid"], e["tid"]): e["args"]["name"] for e in self.of("M")
                if e["name"] == "thread_name"}

    def runs(self):
        """Run number -> (begin event, end event); each has both."""
        begins = {e["id"]: e for e in self.of("b", "run")}
        ends = {e["id"]: e for e in self.of("e", "run")}
        assert len(begins) == len(self.of("b", "run")) and begins.keys() == ends.keys()
        assert len(ends) == len(self.of("e", "run"))
        for number, begin in begins.items():
            assert ends[number]["ts"] >= begin["ts"] and ends[number]["pid"] == begin["pid"]
        return {begin["args"]["run"]: (begin, ends[number]) for number, begin in begins.items()}

    def check(self):
        """What holds for every trace."""
        self.runs()
        names, processes = self.threads(), self.processes()
        for e in self.events:
            assert e["ts"] >= 0 if e["ph"] != "M" else True
            assert e["pid"] in processes
            assert (e["pid"], e["tid"]) in names if e["ph"] == "X" else True
        self.check_nesting()
        self.check_flows()
        return self

    def check_nesting(self):
        """On each track slices follow each other or lie inside each other: parts in steps in jobs."""
        tracks = collections.defaultdict(list)
        for e in self.of("X"):
            tracks[e["pid"], e["tid"]].append((ns(e["ts"]), ns(e["ts"]) + ns(e["dur"]), e))
        depth = {"job": 0, "step": 1, "part": 2}
        for slices in tracks.values():
            open_slices = []
            slices.sort(key=lambda s: (s[0], -s[1], depth[s[2]["cat"]]))
            for begin, end, e in slices:
                while open_slices and open_slices[-1][1] <= begin and begin < end:
                    open_slices.pop()
                while open_slices and depth[open_slices[-1][2]["cat"]] >= depth[e["cat"]]:
                    assert open_slices.pop()[1] <= begin
                if open_slices:
                    outer = open_slices[-1]
                    assert end <= outer[1], (outer[2], e)
                    assert outer[2]["args"]["run"] == e["args"]["run"]
                open_slices.append((begin, end, e))

    def check_flows(self):
        """Each arrow connects two jobs of one run, forwards in time."""
        jobs = {(e["pid"], e["tid"], e["ts"]): e for e in self.slices("job")}
        starts = {e["id"]: e for e in self.of("s", "flow")}
        ends = {e["id"]: e for e in self.of("f", "flow")}
        assert starts.keys() == ends.keys()
        assert len(starts) == len(self.of("s", "flow"))
        for number, start in starts.items():
            end = ends[number]
            source = jobs[start["pid"], start["tid"], start["ts"]]
            target = jobs[end["pid"], end["tid"], end["ts"]]
            assert ns(source["ts"]) + ns(source["dur"]) <= ns(target["ts"])
            assert (start["name"] == "crossing") == (start["pid"] != end["pid"])


def ns(us):
    return round(us * 1000)
