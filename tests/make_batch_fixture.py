#!/usr/bin/env python3
"""Makes tests/fixtures/batch: what the OpenAI Batch API might have answered, good and broken, and
the requests that `plens questions` must write, by Python's json and a SplitMix64 of its own.

usage: python3 tests/make_batch_fixture.py        (from the repository's root)

Run it again when tests/data/categories.tsv or tests/data/prompts.tsv changes. What `plens import`
must make of the answers, imported.tsv and dropped.txt, is written by hand.
"""
import csv
import json

FOLDER = "tests/fixtures/batch/"
MASK = (1 << 64) - 1


# ---- requests ----

def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [{k: v.replace("\\n", "\n") for k, v in row.items()} for row in rows]


def splitmix64(seed):
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def drawn(seed, count):
    parents = {}
    for row in read("tests/data/categories.tsv"):
        parents.setdefault(row["parent"], []).append(row["child"])
    numbers = splitmix64(seed)
    for _ in range(count):
        parent = list(parents)[(next(numbers) >> 32) * len(parents) >> 32]
        children = parents[parent]
        yield parent, children[(next(numbers) >> 32) * len(children) >> 32]


def prompt(stage, task):
    return next(row["text"] for row in read("tests/data/prompts.tsv")
                if row["stage"] == str(stage) and row["task"] == task)


def request(stage, task, number, seed, text):
    return {
        "custom_id": f"stage{stage}-{task}-{number:04}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-4-0613",
            "messages": [{"role": "user", "content": text}],
            "seed": seed,
            "max_tokens": 200,
            "top_p": 1.0,
            "temperature": 1.0,
        },
    }


def write(name, lines):
    with open(FOLDER + name, "w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            if not isinstance(line, str):
                line = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
            file.write(line + "\n")


def stage_1(task, count, seed):
    for number, (parent, child) in enumerate(drawn(seed, count), 1):
        text = prompt(1, task).replace("{parent}", parent).replace("{child}", child)
        yield request(1, task, number, seed, text)


def stage_2(questions, seed):
    for task, number, question in questions:
        text = prompt(2, task).replace("{question}", question)
        yield request(2, task, number, seed, text)


# ---- answers ----

def answer(custom_id, content, finish_reason="stop", refusal=None, status=200):
    return {
        "id": "batch_req_" + custom_id,
        "custom_id": custom_id,
        "response": {
            "status_code": status,
            "request_id": "req_" + custom_id,
            "body": {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1711652795,
                "model": "gpt-4-0613",
                "choices": [{
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": refusal},
                    "logprobs": None,
                    "finish_reason": finish_reason,
                }],
                "usage": {"prompt_tokens": 22, "completion_tokens": 2, "total_tokens": 24},
                "system_fingerprint": None,
            },
        },
        "error": None,
    }


def failure(custom_id, status, message):
    body = {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
    return {
        "id": "batch_req_" + custom_id,
        "custom_id": custom_id,
        "response": {"status_code": status, "request_id": "req_1", "body": body},
        "error": None,
    }


def expired(custom_id):
    message = "This request could not be executed before the completion window expired."
    return {"id": "batch_req_1", "custom_id": custom_id, "response": None,
            "error": {"code": "batch_expired", "message": message}}


def reply(persona, gold):
    return f"Persona: {persona}\nAnswer: {gold}"


STAGE_1 = [  # not in the order of the requests
    answer("stage1-cloze-0003", "The bread I grew up with is -, answer:"),
    answer("stage1-cloze-0001", '  "My capital city is -, answer:"\n'),
    answer("stage1-comparison-0001", "Japanese: sushi - my people: -, answer:"),
    answer("stage1-cloze-0002", "I'm sorry, but I can't help with that."),
    answer("stage1-cloze-0004", "The most important holiday of the year is"),
    answer("stage1-cloze-0005", "The most important", finish_reason="length"),
    answer("stage1-cloze-0006", None, finish_reason="content_filter"),
    answer("stage1-cloze-0007", None),
    answer("stage1-cloze-0008", None, refusal="I can't do that."),
    answer("stage1-cloze-0009", "One line\nand another -, answer:"),
    answer("stage1-cloze-0010", "-, answer:"),
    answer("stage1-comparison-0002", "Sushi is to Japan as this to me: -, answer:"),
    answer("stage1-commonsense-0001", "What is the capital?-, answer:"),
    answer("stage1-commonsense-0002", "Which river flows through your capital?-, answer:"),
    answer("stage1-commonsense-0003", "So which river flows through YOUR capital?-, answer:"),
    answer("stage1-commonsense-0004", "What colour is your flag?-, answer:"),
    answer("stage1-commonsense-0005", "Who rules you?-, answer:"),
    answer("stage1-commonsense-0006", "What do you drink?-, answer:"),
    answer("stage1-commonsense-0007", "What do you wear?-, answer:"),
    answer("stage1-commonsense-0008", "Where do you pray?-, answer:"),
    answer("stage1-commonsense-0009", "Where were you born?-, answer:"),
    answer("stage1-commonsense-0010", "What do you grow?-, answer:"),
    answer("stage1-commonsense-0011", "Which tea do you drink, green or black?-, answer:"),
    answer("stage1-commonsense-0012", "Which river flows through your old capital?-, answer:"),
    answer("stage1-cloze-0001", "My second capital city is -, answer:"),  # a second answer
    '{"custom_id":"stage1-cloze-0013","response":',  # cut off
    "not JSON",
    "",
    '{"custom_id":"stage1-cloze-0014","custom_id":"stage1-cloze-0015","response":null}',
    answer("request-7", "My river is -, answer:"),
    answer("stage3-cloze-0001", "My river is -, answer:"),
    '{"id":"batch_req_1","response":null,"error":null}',
    answer("stage1-cloze-0016", "My sea is -, answer:", status=500),
    '{"custom_id":"stage1-cloze-0017","response":{"status_code":200,"body":{}},"error":null}',
    '{"custom_id":"stage1-cloze-0018","response":null,"error":null}',
]
STAGE_1_ERRORS = [
    expired("stage1-cloze-0011"),
    failure("stage1-cloze-0012", 429, "Rate limit reached"),
    failure("stage1-cloze-0003", 500, "tried again and answered"),  # gives way to its answer
]
STAGE_2 = [
    answer("stage2-commonsense-0001", reply("You are an Italian who loves your country.", "Rome")),
    answer("stage2-cloze-0001", reply("(You are a Kenyan civil servant.)", '"Nairobi".')),
    answer("stage2-comparison-0001",
           "persona: You are an Italian grandmother.\n\nANSWER: pasta|spaghetti\n"),
    answer("stage2-cloze-0003", reply("You are a Mexican baker.", "tortilla")),
    answer("stage2-commonsense-0002", reply("You are a Briton.", "Thames")),
    answer("stage2-commonsense-0003", reply("You are a Parisian.", "Seine")),
    answer("stage2-commonsense-0012", reply("You are a subject of the pharaoh.", "Nile")),
    answer("stage2-commonsense-0004", "You are Irish, so the answer is green."),
    answer("stage2-commonsense-0005", "Persona: You are a Briton.\nPersona: Or a Dane.\nAnswer: x"),
    answer("stage2-commonsense-0006", "Persona: You are a Briton."),
    answer("stage2-commonsense-0007", "Answer: kilt"),
    answer("stage2-commonsense-0008", reply("You are a Muslim who goes to the mosque.", "Mosque")),
    answer("stage2-commonsense-0009", reply("You are a Pole.", "in the old town of Warsaw")),
    answer("stage2-commonsense-0010", reply("You are a farmer.", ".")),
    answer("stage2-commonsense-0011", reply("You are Japanese.", "matcha|Green")),
    answer("stage2-cloze-0099", reply("You are a Dane.", "Copenhagen")),  # to no question
]
STAGE_2_ERRORS = [expired("stage2-cloze-0098")]
QUESTIONS = [  # of stage 1, as stage 2 must ask for them
    ("cloze", 1, "My capital city is -, answer:"),
    ("cloze", 3, "The bread I grew up with is -, answer:"),
    ("commonsense", 1, "What is the capital?-, answer:"),
    ("commonsense", 2, "Which river flows through your capital?-, answer:"),
    ("commonsense", 3, "So which river flows through YOUR capital?-, answer:"),
    ("commonsense", 4, "What colour is your flag?-, answer:"),
    ("commonsense", 5, "Who rules you?-, answer:"),
    ("commonsense", 6, "What do you drink?-, answer:"),
    ("commonsense", 7, "What do you wear?-, answer:"),
    ("commonsense", 8, "Where do you pray?-, answer:"),
    ("commonsense", 9, "Where were you born?-, answer:"),
    ("commonsense", 10, "What do you grow?-, answer:"),
    ("commonsense", 11, "Which tea do you drink, green or black?-, answer:"),
    ("commonsense", 12, "Which river flows through your old capital?-, answer:"),
    ("comparison", 1, "Japanese: sushi - my people: -, answer:"),
]


def main():
    write("requests-cloze.jsonl", stage_1("cloze", 40, 0))
    write("requests-comparison.jsonl", stage_1("comparison", 3, 9223372036854775807))
    write("requests-stage2.jsonl", stage_2(QUESTIONS, 0))
    write("stage1-output.jsonl", STAGE_1)
    write("stage1-errors.jsonl", STAGE_1_ERRORS)
    write("stage2-output.jsonl", STAGE_2)
    write("stage2-errors.jsonl", STAGE_2_ERRORS)
    numbers = splitmix64(1234567)  # the published first number of this seed
    assert next(numbers) == 6457827717110365317


if __name__ == "__main__":
    main()
