"""A monitor of the healthchecks kind, played on 127.0.0.1: it is told of each backup, in order, and never hinders one."""

import json
import signal

import clouds
from servers import wait_for


class Monitor(clouds.Cloud):
    """Whatever is posted is fine, unless `answer` says otherwise."""

    def say(self, *_):
        return 200, "OK"

    def told(self):
        """(path, event) of each call."""
        return [(path, json.loads(body)["event"]) for _, path, _, body in self.asked]


def site_with(site, monitor, path="/GEHEIM-uuid", **more):
    site.configure({"heartbeat": {"url_file": site.write("heartbeat.url", f"{monitor.url}{path}\n"), **more}})
    return site


def test_success_and_failure(site):
    """By a daemon: start and end, with the event as body; then a failure. The URL is in no log."""
    with Monitor(None) as monitor:
        site_with(site, monitor).start()
        done = site.ctl("--json", "backup")
        assert done.status == 0, done
        wait_for(lambda: len(monitor.asked) == 2, what="two calls")
        assert monitor.told() == [("/GEHEIM-uuid/start", "backup-started"), ("/GEHEIM-uuid", "backup-done")]
        method, _, headers, body = monitor.asked[1]
        assert method == "POST" and headers["Content-Type"] == "application/json"
        assert json.loads(body)["name"] == done.json["name"] and "/test-" in json.loads(body)["bucket"]
        site.configure({"etcd_client": {"endpoints": ["127.0.0.1:1"], "retries": 0}, "log_level": "debug"})
        site.process.send_signal(signal.SIGHUP)
        wait_for(lambda: site.ctl("--json", "status").json["endpoints"] == ["127.0.0.1:1"], what="the configuration")
        assert site.ctl("backup").status == 1
        wait_for(lambda: len(monitor.asked) == 4, what="four calls")
        assert monitor.told()[2:] == [("/GEHEIM-uuid/start", "backup-started"), ("/GEHEIM-uuid/fail", "backup-failed")]
        assert json.loads(monitor.asked[3][3])["text"]
        assert "GEHEIM" not in site.log.read_text()


def test_without_a_daemon(site):
    """Under -c FILE hooks and heartbeat come before the command returns; a query stays behind the path."""
    out = site.dir / "hook"
    with Monitor(None) as monitor:
        site_with(site, monitor, "/uuid?create=1", on=["success", "failure"])
        site.configure({"hooks": {"on_success": f"cat >{out}"}})
        assert site.ctl("backup").status == 0
        assert monitor.told() == [("/uuid?create=1", "backup-done")] and json.loads(out.read_text())["event"] == "backup-done"
        site.configure({"etcd_client": {"endpoints": ["127.0.0.1:1"], "retries": 0}})
        assert site.ctl("backup").status == 1
        assert monitor.told()[1:] == [("/uuid/fail?create=1", "backup-failed")]


def test_a_monitor_that_is_ill(site):
    """Three tries where another may help, one where not; in order; the backup is made in any case."""
    with Monitor(None) as monitor:
        site_with(site, monitor).start()
        ill = {"/GEHEIM-uuid/start": 503, "/GEHEIM-uuid": 404}
        monitor.answer = lambda method, path: (ill[path], "")
        assert site.ctl("backup").status == 0
        wait_for(lambda: "heartbeat: success could not be told: HTTP 404" in site.log.read_text(), what="the warning")
        assert [path for path, _ in monitor.told()] == ["/GEHEIM-uuid/start"] * 3 + ["/GEHEIM-uuid"]
        assert "heartbeat: start could not be told: HTTP 503" in site.log.read_text()
        monitor.answer = lambda *_: clouds.HANG
        assert site.ctl("backup").status == 0
    site.write("heartbeat.url", "two lines\nof it\n")
    assert site.ctl("backup").status == 0
    wait_for(lambda: "has to hold one URL, and nothing else" in site.log.read_text(), what="the warning")
    assert "GEHEIM" not in site.log.read_text()
