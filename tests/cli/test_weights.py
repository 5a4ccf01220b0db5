"""weights get against a local server: whole, cut, wrong, resumed, absent, hanging."""

import hashlib
import http.server
import os
import threading
import time
import unittest

from harness import CliTest, main, read_bytes, read_text

SMALL = b"{}" * 50  # what the server gives for a file without a published hash
NAME, FILE = "aurasr-v2-config", "aurasr-v2.json"


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `body` with ranges; `mode` says how it misbehaves."""
    body, mode, seen = SMALL, "whole", []
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        begin = 0
        asked = self.headers.get("Range")
        Server.seen.append((self.path, asked))
        if Server.mode == "404":
            return self.send_error(404)
        if Server.mode == "500 once":
            Server.mode = "whole"
            return self.send_error(500)
        if asked and Server.mode != "no ranges":
            begin = int(asked.split("=")[1].rstrip("-"))
        if begin >= len(Server.body):
            return self.send_error(416)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(Server.body) - begin))
        if begin:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (begin, len(Server.body) - 1, len(Server.body)))
        self.end_headers()
        if Server.mode.startswith("cut"):  # half of what is left, then the connection closes
            self.wfile.write(Server.body[begin:begin + max(1, (len(Server.body) - begin) // 2)])
            self.close_connection = True
            if Server.mode == "cut once":
                Server.mode = "whole"
            return None
        if Server.mode == "hang":
            self.wfile.write(Server.body[begin:begin + 10])
            self.wfile.flush()
            time.sleep(30)
            self.close_connection = True
            return None
        self.wfile.write(Server.body[begin:])
        return None

    def log_message(self, *args):
        pass


class WeightsTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        cls.server.daemon_threads = True
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        Server.body, Server.mode, Server.seen = SMALL, "whole", []

    def weights(self, *args, code=0, mirror=None):
        env = {"GIGACAT_CACHE": self.path("cache"), "no_proxy": "127.0.0.1",
               "GIGACAT_WEIGHTS_MIRROR": mirror or "http://127.0.0.1:%d/files" % self.server.server_address[1]}
        return self.gigacat("weights", *args, code=code, env=env)

    def file(self, end=""):
        return self.path("cache", "weights", FILE + end)

    def test_whole(self):
        done = self.weights("get", NAME)
        self.assertEqual(done.stdout.strip(), self.file())
        self.assertEqual(read_bytes(self.file()), SMALL)
        self.assertFalse(os.path.exists(self.file(".part")))
        self.assertEqual(Server.seen, [("/files/" + FILE, None)])
        self.assertIn(hashlib.sha256(SMALL).hexdigest(), read_text(self.file(".sha256")))
        self.weights("get", NAME)
        self.assertEqual(len(Server.seen), 1, "what is there is not fetched again")
        self.assertEqual(self.weights("where", NAME).stdout.strip(), self.file())
        self.assertIn("as recorded", self.weights("verify", NAME).stdout)

    def test_cut_and_gone_on_with(self):
        Server.body, Server.mode = bytes(range(256)) * 40, "cut"
        message = self.weights("get", NAME, "--attempts", "1", code=1).stderr
        self.assertIn("cannot fetch", message)
        self.assertIn(self.file(), message, "says where to put the file by hand")
        half = os.path.getsize(self.file(".part"))
        self.assertTrue(0 < half < len(Server.body))
        self.assertFalse(os.path.exists(self.file()))
        Server.mode = "whole"
        self.weights("get", NAME)
        self.assertEqual(Server.seen[-1][1], "bytes=%d-" % half)
        self.assertEqual(read_bytes(self.file()), Server.body)

    def test_one_call_goes_on_by_itself(self):
        Server.body, Server.mode = b"x" * 5000, "cut once"
        self.weights("get", NAME)
        self.assertEqual([asked for _, asked in Server.seen], [None, "bytes=2500-"])
        self.assertEqual(read_bytes(self.file()), Server.body)

    def test_server_without_ranges(self):
        Server.body = b"y" * 3000
        os.makedirs(os.path.dirname(self.file()))
        with open(self.file(".part"), "wb") as part:
            part.write(b"y" * 100)
        Server.mode = "no ranges"
        self.weights("get", NAME)
        self.assertEqual(read_bytes(self.file()), Server.body)

    def test_whole_part_left_by_a_kill(self):
        os.makedirs(os.path.dirname(self.file()))
        with open(self.file(".part"), "wb") as part:
            part.write(SMALL)
        self.weights("get", NAME)
        self.assertEqual(read_bytes(self.file()), SMALL)

    def test_wrong_hash(self):
        message = self.weights("get", "lpips-alex", code=1).stderr
        self.assertIn("100 bytes came instead of 6009", message)
        Server.body = b"z" * 6009
        message = self.weights("get", "lpips-alex", code=1).stderr
        self.assertIn("instead of df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", message)
        self.assertEqual([f for f in os.listdir(self.path("cache", "weights")) if "lpips" in f], [])
        Server.body = SMALL
        self.assertIn("SHA-256", self.weights("get", "inception", code=1).stderr, "a prefix of the hash is checked too")

    def test_changed_after_first_use(self):
        self.weights("get", NAME)
        with open(self.file(), "ab") as file:
            file.write(b"!")
        self.assertIn("WRONG", self.weights("verify", NAME, code=1).stdout)
        self.weights("get", NAME)
        self.assertEqual(read_bytes(self.file()), SMALL)
        Server.body = b"another"
        with open(self.file(), "ab") as file:
            file.write(b"!")
        self.assertIn("SHA-256", self.weights("get", NAME, code=1).stderr)

    def test_absent_and_failing(self):
        Server.mode = "404"
        message = self.weights("get", NAME, code=1).stderr
        self.assertIn("answered 404", message)
        self.assertIn("GIGACAT_WEIGHTS_MIRROR", message)
        self.assertEqual(len(Server.seen), 1, "it would not come a second time")
        Server.mode = "500 once"
        self.weights("get", NAME)

    def test_hanging(self):
        Server.body, Server.mode = b"x" * 5000, "hang"
        began = time.monotonic()
        message = self.weights("get", NAME, "--stall", "2", "--attempts", "1", code=1).stderr
        self.assertIn("hangs", message)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(os.path.getsize(self.file(".part")), 10, "what came is kept for the next call")

    def test_offline(self):
        message = self.weights("get", NAME, "--attempts", "1", code=1, mirror="http://127.0.0.1:9/x").stderr
        self.assertIn("put it at " + self.file(), message)
        self.assertIn("https://huggingface.co/fal/AuraSR-v2", message)
        self.assertIn("cannot fetch", self.weights("get", NAME, code=1, mirror="file:///etc").stderr)

    def test_list(self):
        text = self.weights("list").stdout
        for words in ("dinov2-b14", "Apache-2.0", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
                      "no hash published", "https://dl.fbaipublicfiles.com"):
            self.assertIn(words, text)
        self.assertEqual(self.weights("where").stdout.strip(), self.path("cache", "weights"))
        self.assertIn("did you mean", self.weights("get", "dinov2-b41", code=2).stderr)
        self.weights("verify")
        self.assertIn("missing", self.weights("verify", NAME, code=1).stdout)


if __name__ == "__main__":
    main()
