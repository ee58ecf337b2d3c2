#!/usr/bin/env python3
"""Writes questions for measuring speed: a TSV as `plens score` reads it, on standard output.

usage: make_questions.py [N]      (600 by default, a third for each task, as in the paper)

The forms are the paper's (cloze, comparison, commonsense; NLP 2025, see README), the fillings are
combined from lists in a fixed order: the same N gives the same bytes. They are for timing; what a
model answers to them says nothing.
"""
import sys

NATIONS = [  # adjective, people, country, capital, dish, holiday, sport, city
    ("American", "Americans", "America", "Washington", "burgers", "Independence", "baseball", "Chicago"),
    ("Japanese", "the Japanese", "Japan", "Tokyo", "sushi", "New", "sumo", "Osaka"),
    ("Italian", "Italians", "Italy", "Rome", "pasta", "Christmas", "football", "Milan"),
    ("French", "the French", "France", "Paris", "bread", "Bastille", "cycling", "Lyon"),
    ("German", "Germans", "Germany", "Berlin", "sausages", "Christmas", "football", "Munich"),
    ("Indian", "Indians", "India", "Delhi", "curry", "Diwali", "cricket", "Mumbai"),
    ("Mexican", "Mexicans", "Mexico", "Mexico", "tacos", "Independence", "boxing", "Puebla"),
    ("Brazilian", "Brazilians", "Brazil", "Bras\u00edlia", "beans", "Carnival", "football", "Rio"),
    ("Egyptian", "Egyptians", "Egypt", "Cairo", "bread", "Ramadan", "football", "Alexandria"),
    ("Korean", "Koreans", "Korea", "Seoul", "kimchi", "Chuseok", "baseball", "Busan"),
    ("Spanish", "the Spanish", "Spain", "Madrid", "paella", "Easter", "football", "Seville"),
    ("Canadian", "Canadians", "Canada", "Ottawa", "poutine", "Canada", "hockey", "Toronto"),
    ("Chinese", "the Chinese", "China", "Beijing", "rice", "New", "ping-pong", "Shanghai"),
    ("Turkish", "Turks", "Turkey", "Ankara", "kebab", "Ramadan", "wrestling", "Istanbul"),
]
ROLES = [
    "who is proud of {country}", "who loves your country", "and a teacher of history", "and a young doctor",
    "who has lived in {city} for all your life", "and a retired engineer who reads the newspaper every day",
    "who cooks {dish} for your family on Sundays", "and a student of philosophy at a large university",
    "who plays {sport} every weekend", "and a journalist who writes about politics and the environment",
]
CLOZE = [
    ("The most important holiday of the year is -, answer:", "holiday"),
    ("The capital of your country is the city of -, answer:", "capital"),
    ("When friends come to dinner, the dish on the table is most often -, answer:", "dish"),
    ("The sport that everybody at school wants to play is -, answer:", "sport"),
    ("If you could live in any large city at home, you would choose -, answer:", "city"),
]
COMMONSENSE = [
    ("What is the capital?-, answer:", "capital"),
    ("Which holiday do people look forward to the most?-, answer:", "holiday"),
    ("What do people like to eat?-, answer:", "dish"),
    ("Which sport fills the largest stadiums, and is shown on television every evening?-, answer:", "sport"),
]
FIELDS = ("adjective", "people", "country", "capital", "dish", "holiday", "sport", "city")


def persona(nation, i):
    article = "an" if nation["adjective"][0] in "AEIOU" else "a"
    role = ROLES[(i * 7 + i // len(ROLES)) % len(ROLES)].format(**nation)
    return f"You are {article} {nation['adjective']} {role}."


def question(task, nation, i):
    if task == "comparison":
        other = dict(zip(FIELDS, NATIONS[(i * 5 + 3) % len(NATIONS)]))
        what = ("dish", "capital", "sport", "holiday")[i // len(NATIONS) % 4]
        return f"{other['people']}: {other[what]} - {nation['people']}: -, answer:", nation[what]
    forms = CLOZE if task == "cloze" else COMMONSENSE
    text, what = forms[i // len(NATIONS) % len(forms)]
    return text, nation[what]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print("id", "task", "persona", "prompt", "gold", sep="\t")
    tasks = ("cloze", "comparison", "commonsense")
    for k in range(n):
        task, i = tasks[k * len(tasks) // n], k % max(1, n // len(tasks))
        nation = dict(zip(FIELDS, NATIONS[i % len(NATIONS)]))
        prompt, gold = question(task, nation, i)
        print(f"{task}{i + 1}", task, persona(nation, i), prompt, gold, sep="\t")


main()
