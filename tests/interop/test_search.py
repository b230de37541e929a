"""`runnel search` towards a device whose limit is known: a filter of the kernel's that lets so many new connections a second
pass."""

import json

from harness import INTERFACE, KERNEL, PORT, RUNNEL, InteropTest, Settings


class SearchTest(InteropTest):
    LIMIT = 1500  # SYNs a second
    BURST = 500  # so many more where there were none before: it makes up for a client that was held up for 300 ms
    TRIAL = 1  # second
    WIDTH = 0.1

    def begin(self, *rules):
        """Makes a filter whose `rules` come first."""
        self.prepare_tap()
        self.nginx()
        self.namespace.run("nft", "add table ip limited")
        self.namespace.run("nft", "add chain ip limited in { type filter hook input priority 0 ; }")
        opens = "tcp dport 80 tcp flags & (syn|ack) == syn"
        limit = f"limit rate over {self.LIMIT}/second burst {self.BURST} packets drop"
        for rule in (*rules, limit):
            self.namespace.run("nft", f"add rule ip limited in iifname {INTERFACE} {opens} {rule}")

    def search(self, loss):
        """Returns the document's goal and trials, and what was printed."""
        file = self.namespace.folder / "search.json"
        goal = f"loss={loss:.1%},trial={self.TRIAL}s,first-trial={self.TRIAL}s,sum={self.TRIAL}s,width={self.WIDTH:.0%}"
        done = self.namespace.run(
            *(Settings.runnel, "search", "--goal", goal, "--min", "1k", "--max", "4k", "--json", file, "--"),
            *("load", "--port", PORT, "--address", RUNNEL + "/24", "--target", f"{KERNEL}:80", "--recipe", "rst"),
            # A SYN that is dropped is a connection that fails; what the machine held up is not.
            *("--syn-retries", "0", "--syn-timeout", "500ms", "--drain", "600ms", "--ramp", "0s", "--max-lag", "5s"),
            timeout=28,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stdout)
        document = json.loads(file.read_text())
        return document["goals"][0], document["trials"], done.stdout

    def assert_encloses_the_limit(self, goal, trials, loss, output):
        # In a trial the filter lets pass its rate and its burst; what the goal says may be lost besides.
        most = (self.LIMIT + self.BURST / self.TRIAL) / (1 - loss)
        self.assertLessEqual(goal["lower"], most, output)
        self.assertGreaterEqual(goal["upper"], self.LIMIT, output)
        self.assertLessEqual(goal["upper"] - goal["lower"], self.WIDTH * goal["upper"] + 1, output)
        # What it says of the bounds is what the trials were: the lower met the goal, the upper did not.
        lost = {bound: [t["loss_ratio"] for t in trials if t["load"] == goal[bound]] for bound in ("lower", "upper")}
        self.assertLessEqual(sorted(lost["lower"])[(len(lost["lower"]) - 1) // 2], loss, output)
        self.assertGreater(max(lost["upper"]), loss, output)
        self.assertLessEqual(goal["conditional_throughput"], self.LIMIT + self.BURST / self.TRIAL, output)
        self.assertGreaterEqual(goal["conditional_throughput"], goal["lower"] * (1 - loss) * 0.99, output)

    def enclose_the_limit(self, loss, *rules):
        """Searches; what stopped the machine for longer than the burst makes up for is no limit: then once more."""
        self.begin(*rules)
        goal, trials, output = self.search(loss)
        if goal["upper"] is not None and goal["upper"] < self.LIMIT:
            goal, trials, output = self.search(loss)
        self.assert_encloses_the_limit(goal, trials, loss, output)
        return trials, output

    def test_bounds_enclose_the_limit_of_a_device(self):
        self.enclose_the_limit(0.005)

    def test_bursts_of_loss_below_the_goal_do_not_hide_the_limit(self):
        # Of each thousand SYNs five in a row are lost, whatever the rate; a trial has a thousand at least, and so loses
        # at most a hundredth.
        loss = 0.01
        trials, output = self.enclose_the_limit(loss, "numgen inc mod 1000 < 5 drop")
        self.assertTrue(any(0 < t["loss_ratio"] <= loss for t in trials), output)
