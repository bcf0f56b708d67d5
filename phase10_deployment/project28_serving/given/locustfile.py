"""Conversations for locust, which draws requests, failures and latencies while they happen, or writes them as a page:

    .venv-clients/bin/locust -f phase10_deployment/project28_serving/given/locustfile.py --host http://127.0.0.1:8000 \\
        --headless --users 16 --spawn-rate 4 --run-time 60 --html load.html

Each user says something, reads the stream, and answers with what it has read, for as many turns as TURNS.
"""

import json
import random
import time

from locust import HttpUser, between, task  # pyright: ignore[reportMissingImports]

TURNS = 3
NAMES = ["Mia", "Ben", "Tara", "Max"]
QUESTIONS = [
    "{name} has {a} marbles and finds {b} more. How many marbles does {name} have now?",
    "What frightens {name}?",
    "Is {a} plus {b} less than 60?",
]


class Talker(HttpUser):
    """Someone who talks."""

    wait_time = between(0, 0.2)

    @task
    def talk(self):
        """A conversation of a few turns; two rows of the report: until the first words, and the whole answer."""
        messages = []
        for _ in range(TURNS):
            fields = {"name": random.choice(NAMES), "a": random.randint(1, 40), "b": random.randint(1, 40)}
            messages.append({"role": "user", "content": random.choice(QUESTIONS).format(**fields)})
            body = {"messages": messages, "stream": True, "max_tokens": 48}
            start, said = time.perf_counter(), []
            with self.client.post(
                "/v1/chat/completions", json=body, stream=True, name="whole answer", catch_response=True
            ) as answer:
                if "context_length_exceeded" in (answer.text if answer.status_code == 400 else ""):
                    answer.success()  # a conversation ends where the model reads no more
                    return
                if answer.status_code != 200:
                    answer.failure(f"{answer.status_code}: {answer.text[:200]}")
                    return
                for line in answer.iter_lines():
                    if not line.startswith(b"data: {"):
                        continue
                    words = json.loads(line[6:])["choices"][0]["delta"].get("content")
                    if not words:
                        continue
                    if not said:
                        self.note(start)
                    said.append(words)
                # locust takes the time until the headers; the answer is what counts
                answer.request_meta["response_time"] = 1000 * (time.perf_counter() - start)
                answer.success()
            messages.append({"role": "assistant", "content": "".join(said)})

    def note(self, start):
        """The first words have come."""
        self.environment.events.request.fire(
            request_type="SSE", name="first words", response_time=1000 * (time.perf_counter() - start),
            response_length=0, exception=None, context={},
        )  # fmt: skip
