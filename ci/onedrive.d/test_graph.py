"""Graph's protocol, asked over HTTPS by Python's own client."""

import http.client
import json
import os
import ssl
import unittest
from urllib.parse import urlencode, urlsplit

from cases import OnStandin
from graph import GRAPH, LOGIN, UPLOAD
from uploads import UNIT


class Protocol(OnStandin):
    """One account, asked by hand."""

    def setUp(self):
        super().setUp()
        self.token = json.loads(self.control.ask("POST", "/sign-in"))
        self.base = f"https://{GRAPH}/v1.0/drives/{self.world.standin.drive.id}"

    def ask(self, method: str, url: str, body=b"", bearer: bool = True, **headers):
        """The status, the headers and the body of an answer."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        place = urlsplit(url)
        context = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
        connection = http.client.HTTPSConnection(place.hostname, context=context, timeout=10)
        if bearer:
            headers["Authorization"] = f"Bearer {self.token['access_token']}"
        target = place.path + (f"?{place.query}" if place.query else "")
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if (answer.getheader("Content-Type") or "").startswith("application/json"):
            data = json.loads(data)
        return answer.status, answer.headers, data

    def expect(self, status: int, method: str, url: str, *more, **headers):
        """The body of an answer with this status."""
        got, _, data = self.ask(method, url, *more, **headers)
        self.assertEqual(got, status, data)
        return data

    def session(self, name: str = "file", **item) -> str:
        """The URL of a new upload session."""
        return self.expect(200, "POST", f"{self.base}/root:/{name}:/createUploadSession", {"item": item})["uploadUrl"]

    def chunk(self, status: int, url: str, first: int, data: bytes, total: int):
        """Sends a range."""
        told = f"bytes {first}-{first + len(data) - 1}/{total}"
        return self.expect(status, "PUT", url, data, bearer=False, Content_Range=told)

    def test_a_request_without_a_good_token_is_refused(self):
        self.expect(401, "GET", f"{self.base}/root", bearer=False)
        self.control.post("expire")
        self.expect(401, "GET", f"{self.base}/root")

    def test_a_refresh_token_is_good_once(self):
        form = urlencode({"grant_type": "refresh_token", "refresh_token": self.token["refresh_token"]}).encode()
        url = f"https://{LOGIN}/common/oauth2/v2.0/token"
        fresh = self.expect(200, "POST", url, form, bearer=False)
        self.assertEqual(self.expect(400, "POST", url, form, bearer=False)["error"], "invalid_grant")
        self.token = fresh
        self.expect(200, "GET", f"{self.base}/root")

    def test_ranges_must_fit(self):
        url = self.session()
        self.assertEqual(self.expect(200, "GET", url, bearer=False)["nextExpectedRanges"], ["0-"])
        self.chunk(400, url, 0, b"x" * 1000, 5000)
        self.chunk(416, url, UNIT, b"x" * UNIT, 3 * UNIT)
        self.chunk(202, url, 0, b"x" * UNIT, UNIT + 5)
        self.chunk(416, url, 0, b"x" * UNIT, UNIT + 5)
        self.chunk(400, url, UNIT, b"x" * 5, UNIT + 6)
        self.assertEqual(self.expect(200, "GET", url, bearer=False)["nextExpectedRanges"], [f"{UNIT}-{UNIT + 4}"])
        item = self.chunk(201, url, UNIT, b"x" * 5, UNIT + 5)
        self.assertEqual(item["size"], UNIT + 5)
        self.expect(404, "GET", url, bearer=False)
        self.assertEqual(self.control.read("/file"), b"x" * (UNIT + 5))

    def test_a_session_that_is_cancelled_or_forgotten_is_gone(self):
        url = self.session()
        self.expect(204, "DELETE", url, bearer=False)
        self.chunk(404, url, 0, b"x", 1)
        url = self.session()
        self.control.post("forget-sessions")
        self.chunk(404, url, 0, b"x", 1)
        self.assertEqual(self.stored(), set())

    def test_a_session_keeps_to_its_conflict_behaviour(self):
        self.control.write("/file", b"old")
        behaviour = "@microsoft.graph.conflictBehavior"
        self.chunk(409, self.session(**{behaviour: "fail"}), 0, b"new", 3)
        self.chunk(201, self.session(**{behaviour: "rename"}), 0, b"new", 3)
        self.assertEqual(self.stored(), {"/file", "/file 1"})
        self.chunk(201, self.session(**{behaviour: "replace"}), 0, b"new", 3)
        self.assertEqual(self.control.read("/file"), b"new")
        self.assertEqual(self.control.tree()["/file"]["versions"], 1)

    def test_the_upload_host_refuses_a_bearer_token_unless_it_is_told_to_take_it(self):
        self.assertEqual(self.expect(401, "GET", self.session())["error"]["code"], "unauthenticated")
        self.control.settings(refuse_bearer=False)
        self.expect(200, "GET", self.session())

    def test_a_move_onto_an_existing_name_changes_nothing(self):
        for name in ("one", "two"):
            self.control.write(f"/{name}", name.encode())
        item = self.expect(200, "GET", f"{self.base}/root:/one")
        url = f"{self.base}/items/{item['id']}"
        self.assertEqual(self.expect(409, "PATCH", url, {"name": "TWO"})["error"]["code"], "nameAlreadyExists")
        self.assertEqual((self.control.read("/one"), self.control.read("/two")), (b"one", b"two"))
        moved = self.expect(200, "PATCH", url, {"name": "ONE"})
        self.assertEqual((moved["id"], moved["file"]["hashes"]), (item["id"], item["file"]["hashes"]))
        self.assertEqual(self.stored(), {"/ONE", "/two"})

    def test_a_folder_does_not_move_below_itself(self):
        self.control.write("/a/b/file", b"")
        places = {name: self.expect(200, "GET", f"{self.base}/root:/{name}:")["id"] for name in ("a", "a/b")}
        self.expect(400, "PATCH", f"{self.base}/items/{places['a']}", {"parentReference": {"id": places["a/b"]}})
        self.assertEqual(self.stored(), {"/a/b/file"})

    def test_times_are_kept_and_make_a_version_on_business(self):
        told = {"fileSystemInfo": {"lastModifiedDateTime": "2020-02-03T04:05:06.789Z"}}
        for account, kept, versions in (("personal", "2020-02-03T04:05:06.789Z", 0), ("business", "2020-02-03T04:05:06Z", 1)):
            with self.subTest(account):
                self.open_world(account=account)
                self.token = json.loads(self.control.ask("POST", "/sign-in"))
                self.base = f"https://{GRAPH}/v1.0/drives/{self.world.standin.drive.id}"
                self.control.write("/file", b"x")
                item = self.expect(200, "PATCH", f"{self.base}/root:/file:", told)
                self.assertEqual(item["fileSystemInfo"]["lastModifiedDateTime"], kept)
                self.assertEqual(self.control.tree()["/file"]["versions"], versions)

    def test_versions_are_listed_and_deleted(self):
        for text in (b"1", b"22"):
            self.control.write("/file", text)
        url = f"{self.base}/root:/file:/versions"
        current, former = self.expect(200, "GET", url)["value"]
        self.assertEqual((current["size"], former["size"]), (2, 1))
        item = self.expect(200, "GET", f"{self.base}/root:/file")
        self.expect(204, "DELETE", f"{self.base}/items/{item['id']}/versions/{former['id']}")
        self.assertEqual(len(self.expect(200, "GET", url)["value"]), 1)

    def test_a_copy_is_made_once_its_monitor_says_so(self):
        self.control.write("/file", b"content")
        item = self.expect(200, "GET", f"{self.base}/root:/file")
        status, headers, _ = self.ask("POST", f"{self.base}/items/{item['id']}/copy", {"name": "copied"})
        self.assertEqual(status, 202)
        monitor = headers["Location"]
        self.assertEqual(self.expect(202, "GET", monitor, bearer=False)["status"], "inProgress")
        self.assertEqual(self.stored(), {"/file"})
        for _ in range(2):
            self.assertEqual(self.expect(200, "GET", monitor, bearer=False)["status"], "completed")
        self.assertEqual(self.control.read("/copied"), b"content")

    def test_downloads_know_ranges(self):
        self.control.write("/file", b"0123456789")
        status, headers, _ = self.ask("GET", f"{self.base}/root:/file:/content")
        self.assertEqual(status, 302)
        url = headers["Location"]
        for wanted, got in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")):
            self.assertEqual(self.expect(206, "GET", url, bearer=False, Range=wanted), got)
        self.expect(416, "GET", url, bearer=False, Range="bytes=10-")
        self.assertEqual(self.expect(200, "GET", url, bearer=False), b"0123456789")

    def test_the_answer_of_a_fault_is_the_one_in_the_list(self):
        self.control.faults({"match": "^item .* /x$", "nth": 2, "status": 418, "headers": {"X-Word": "yes"}, "body": {"a": 1}})
        self.expect(404, "GET", f"{self.base}/root:/x")
        status, headers, body = self.ask("GET", f"{self.base}/root:/x")
        self.assertEqual((status, headers["X-Word"], body), (418, "yes", {"a": 1}))
        self.expect(404, "GET", f"{self.base}/root:/x")
        self.assertEqual(self.control.counters()["faults"], [{"match": "^item .* /x$", "seen": 3, "hits": 1}])

    def test_requests_are_counted_by_kind(self):
        self.control.reset()
        self.chunk(201, self.session(), 0, b"12345", 5)
        counters = self.control.counters()
        self.assertEqual(counters["requests"], {"session": 1, "chunk": 1})
        self.assertEqual((counters["bytes_up"], counters["bytes_down"]), (5, 0))
        self.assertIn(f"chunk PUT {UPLOAD}/up/", self.control.get("/journal")[-1][2])

    def test_a_line_with_little_room_carries_every_byte(self):
        self.control.settings(bandwidth=2_000_000)
        data = bytes(range(256)) * 1000
        self.chunk(201, self.session(), 0, data, len(data))
        [path] = self.stored()
        self.assertEqual(self.control.read(path), data)

    def test_a_local_folder_is_put_in_place_with_its_times(self):
        os.utime(self.file("local/folder/file", b"here"), (0, 1_000_000_000))
        self.control.write_folder("/there", self.scratch / "local")
        [(path, item)] = self.control.files().items()
        self.assertEqual((path, item["modified"]), ("/there/folder/file", 1_000_000_000))

    def test_folders_come_in_pages(self):
        self.control.ask("PUT", "/files", {f"/many/{n}": "" for n in range(5)})
        url, names = f"{self.base}/root:/many:/children?$top=2", []
        while url:
            page = self.expect(200, "GET", url)
            self.assertLessEqual(len(page["value"]), 2)
            names += [item["name"] for item in page["value"]]
            url = page.get("@odata.nextLink")
        self.assertEqual(names, ["0", "1", "2", "3", "4"])
        self.expect(400, "GET", f"{self.base}/root/children?$top=all")

    def test_an_unknown_path_is_refused(self):
        for url in (f"https://{GRAPH}/v1.0/me/messages", f"{self.base}/root/nonsense", f"https://{LOGIN}/other"):
            self.expect(400, "GET", url)
        self.assertEqual(self.control.counters()["requests"], {"other": 3})


if __name__ == "__main__":
    unittest.main()
