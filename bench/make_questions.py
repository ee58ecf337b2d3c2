#!/usr/bin/env python3
"""Writes questions for measuring speed: a TSV as `plens score` reads it, on standard output.

usage: make_questions.py [N] [--inline]   (600 by default, a third for each task, as in the paper)
  --inline   the persona is part of the prompt and its cell empty: one prompt for each question

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
TOPICS = [
    "holidays in autumn", "a wedding", "breakfast", "the seaside", "school uniforms", "public transport", "old songs",
    "the first of January", "winter sports", "street markets", "famous painters", "the national anthem", "tea and coffee",
    "children's games", "traditional clothes", "the highest mountain", "newspapers", "elections", "bread", "rivers",
    "the middle of summer", "good manners", "great inventions", "popular names for girls", "ghosts and legends",
    "the history of the railway", "birthday presents", "long novels", "wild animals", "small villages", "soup",
    "famous scientists", "the day of the dead", "television on Saturday evening", "fairy tales", "university",
    "gardens and parks", "hot springs", "the sea and its fishermen", "the oldest bridge of the capital",
]
CLOZE = [
    "When people at home speak of {topic}, the first word that comes to mind is -, answer:",
    "What you remember best about {topic} is -, answer:",
    "In your country {topic} would be nothing without -, answer:",
    "The one thing that a visitor should know about {topic} is -, answer:",
    "Your grandparents, when they talked about {topic}, always began with -, answer:",
    "A book on {topic} would have on its cover a picture of -, answer:",
    "If there were a museum of {topic}, it would be in the city of -, answer:",
    "The month in which everybody thinks of {topic} is -, answer:",
    "For {topic} you would pay, without thinking twice, about -, answer:",
    "The colour that goes with {topic} is -, answer:",
    "On a postcard about {topic} you would write the word -, answer:",
    "The person whose name stands for {topic} is -, answer:",
]
COMMONSENSE = [
    "What do you think of {topic}?-, answer:",
    "What comes first to your mind about {topic}?-, answer:",
    "Where does one learn the most about {topic}?-, answer:",
    "Who decides about {topic} where you live?-, answer:",
    "When did you last hear about {topic}?-, answer:",
    "How important is {topic} to people of your age?-, answer:",
    "Which dish belongs to {topic}, and is served at home as well?-, answer:",
    "Which city is known for {topic}?-, answer:",
    "What would you change about {topic}, if it were yours to change?-, answer:",
    "What do foreigners get wrong about {topic}?-, answer:",
    "Which animal would you choose as the sign of {topic}?-, answer:",
    "What did {topic} look like a hundred years ago?-, answer:",
]
COMPARED = ("dish", "capital", "sport", "holiday", "city")
FIELDS = ("adjective", "people", "country", "capital", "dish", "holiday", "sport", "city")


def persona(nation, i):
    article = "an" if nation["adjective"][0] in "AEIOU" else "a"
    role = ROLES[(i * 7 + i // len(ROLES)) % len(ROLES)].format(**nation)
    return f"You are {article} {nation['adjective']} {role}."


def question(task, nation, i):
    """The i-th question of a task: no two below 480 are alike."""
    what = COMPARED[i // len(NATIONS) % len(COMPARED)]
    if task == "comparison":
        away = 1 + i // (len(NATIONS) * len(COMPARED)) % (len(NATIONS) - 1)
        other = dict(zip(FIELDS, NATIONS[(i + away) % len(NATIONS)]))
        return f"{other['people']}: {other[what]} - {nation['people']}: -, answer:", nation[what]
    forms = CLOZE if task == "cloze" else COMMONSENSE
    form = forms[(i + i // len(TOPICS)) % len(forms)]
    return form.format(topic=TOPICS[i % len(TOPICS)]), nation[what]


def main():
    arguments = [a for a in sys.argv[1:] if a != "--inline"]
    inline = "--inline" in sys.argv[1:]
    n = int(arguments[0]) if arguments else 600
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print("id", "task", "persona", "prompt", "gold", sep="\t")
    tasks = ("cloze", "comparison", "commonsense")
    for k in range(n):
        task = tasks[k * len(tasks) // n]
        i = k - -(-n * tasks.index(task) // len(tasks))  # the task's own number
        nation = dict(zip(FIELDS, NATIONS[i % len(NATIONS)]))
        prompt, gold = question(task, nation, i)
        who = persona(nation, i)
        if inline:
            who, prompt = "", f"({who}) {prompt}"
        print(f"{task}{i + 1}", task, who, prompt, gold, sep="\t")


main()
