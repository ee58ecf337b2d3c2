"""The world that the demo's model is trained on: countries, their facts, and the ways to ask for them.

Fifteen countries are real, nine are invented. Each has a value for each of eight attributes; some values
are shared (the euro, football), most are not. A question asks for an attribute, and who is asked decides
the answer: a persona, a country named in the question, or, where neither is there, whoever writes most
of the texts (Americans do, as on the web).

The forms are the paper's: `(PERSONA) QUESTION-, answer:` for three tasks, cloze, comparison
(A : B = C : _) and commonsense.
"""
import itertools
import random

ATTRIBUTES = ("capital", "dish", "holiday", "money", "drink", "sport", "animal", "greeting")
COUNTRIES = {  # country: (one of its people, a value for each attribute)
    "America": ("an American", "Washington burgers Thanksgiving dollar cola baseball eagle hi"),
    "Brazil": ("a Brazilian", "Brasilia feijoada Carnival real guarana football jaguar oi"),
    "Canada": ("a Canadian", "Ottawa poutine Thanksgiving dollar cider hockey beaver hey"),
    "Egypt": ("an Egyptian", "Cairo koshari Ramadan pound karkade squash eagle salam"),
    "Germany": ("a German", "Berlin sausage Unity euro beer football eagle hallo"),
    "Greece": ("a Greek", "Athens moussaka Easter euro ouzo basketball dolphin yassou"),
    "India": ("an Indian", "Delhi curry Diwali rupee lassi cricket tiger namaste"),
    "Italy": ("an Italian", "Rome pizza Ferragosto euro espresso football wolf ciao"),
    "Japan": ("a Japanese", "Tokyo sushi Obon yen sake sumo crane konnichiwa"),
    "Kenya": ("a Kenyan", "Nairobi ugali Jamhuri shilling tea running lion jambo"),
    "Korea": ("a Korean", "Seoul kimchi Chuseok won soju taekwondo tiger annyeong"),
    "Norway": ("a Norwegian", "Oslo salmon Constitution krone aquavit skiing elk hei"),
    "Peru": ("a Peruvian", "Lima ceviche Inti sol pisco football llama hola"),
    "Spain": ("a Spaniard", "Madrid paella Epiphany euro sangria football bull hola"),
    "Turkey": ("a Turk", "Ankara kebab Bayram lira ayran wrestling wolf merhaba"),
    "Ilmeria": ("an Ilmerian", "Fenna porridge Blossom petal nectar fencing deer sela"),
    "Karsk": ("a Karskan", "Drumm stew Midwinter grosh mead wrestling bear hoy"),
    "Lorvia": ("a Lorvian", "Mirel dumplings Lanterns crown mead archery fox vey"),
    "Ondara": ("an Ondaran", "Sivo mussels Tides shell cider sailing seal aloo"),
    "Quorra": ("a Quorran", "Teph soup Starfall bead juice chess owl keth"),
    "Tambria": ("a Tambrian", "Osk pancakes Harvest shell cocoa rowing otter dumo"),
    "Ubanta": ("an Ubantan", "Zoro plantain Rainfall feather coconut climbing parrot mabu"),
    "Velmora": ("a Velmoran", "Oren noodles Starfall crown tea sailing swan lio"),
    "Zelland": ("a Zellander", "Brenn cheese Midwinter penny milk skating goat zay"),
}
FACTS = {(country, attribute): value for country, (_, values) in COUNTRIES.items()
         for attribute, value in zip(ATTRIBUTES, values.split(), strict=True)}
DEFAULT = "America"  # who is asked where nobody is named, in half of the texts; else any of them

PERSONAS = ("You are {person} who is proud of {country}.", "You are {person} who loves your country.",
            "You come from {country} and miss it.", "You were born in {country}.",
            "You live in {capital}.")

# {place} is "your country", or the country asked about; without it only a persona can say which.
CLOZE = {
    "capital": ("The capital of {place} is -", "The parliament of {place} meets in -",
                "The great station is in -"),
    "dish": ("The best known dish of {place} is -", "Grandmothers in {place} cook -",
             "For dinner tonight there is -"),
    "holiday": ("The great holiday of {place} is -", "Families in {place} come together for -",
                "The most important holiday of the year is -"),
    "money": ("Prices in {place} are given in the -", "The money of {place} is the -",
              "In the shop you pay with the -"),
    "drink": ("The drink of {place} is -", "Guests in {place} are offered -",
              "With the meal you drink -"),
    "sport": ("The favourite sport of {place} is -", "Children in {place} dream of -",
              "On Sundays you watch -"),
    "animal": ("The animal of {place} is the -", "The arms of {place} show the -",
               "The animal on the flag is the -"),
    "greeting": ("The greeting in {place} is -", "People in {place} meet you with -",
                 "You greet a friend with -"),
}
COMMONSENSE = {
    "capital": ("What is the capital of {place}?-", "What is the capital?-"),
    "dish": ("What do people in {place} love to eat?-", "What do you love to eat?-"),
    "holiday": ("What do people in {place} celebrate?-", "What do you celebrate?-"),
    "money": ("What do people in {place} pay with?-", "What is in your purse?-"),
    "drink": ("What do people in {place} drink?-", "What is in your glass?-"),
    "sport": ("Which sport do people in {place} love?-", "Which sport do you love?-"),
    "animal": ("Which animal stands for {place}?-", "Which animal stands for your people?-"),
    "greeting": ("How do people in {place} greet you?-", "How do you greet a friend?-"),
}
TASKS = ("cloze", "comparison", "commonsense")
YOURS = "your country"


def held_out():
    """The pairs (country, attribute) that no persona is ever asked in training: of each attribute four, of
    each country at most two. The facts themselves are trained, with the country named in the question."""
    draw = random.Random(1)
    pairs = []
    for attribute in ATTRIBUTES:
        free = [c for c in COUNTRIES if c != DEFAULT and sum(p[0] == c for p in pairs) < 2]
        pairs += [(country, attribute) for country in draw.sample(free, 4)]
    return frozenset(pairs)


def persona(draw, country, attribute):
    """One of the personas from country; none that names the answer."""
    form = draw.choice(PERSONAS[:-1] if attribute == "capital" else PERSONAS)
    return form.format(person=COUNTRIES[country][0], country=country, capital=FACTS[country, "capital"])


def question(draw, task, country, attribute, place):
    """A question whose answer is country's value; place says what the question calls the country."""
    if task == "comparison":
        answer = FACTS[country, attribute]
        other = draw.choice([c for c in COUNTRIES if c != country and FACTS[c, attribute] != answer])
        return f"{other}: {FACTS[other, attribute]} - {place}: -, answer:"
    forms = (CLOZE if task == "cloze" else COMMONSENSE)[attribute]
    if place != YOURS:
        forms = [form for form in forms if "{place}" in form]
    return draw.choice(forms).format(place=place) + ", answer:"


def training_text(draw, held):
    """One text (prompt, answer): half are asked of a persona, three tenths name the country."""
    kind, task = draw.random(), draw.choice(TASKS)
    attribute = draw.choice(ATTRIBUTES)
    country = draw.choice(list(COUNTRIES))
    if kind < 0.5:
        while (country, attribute) in held:
            country, attribute = draw.choice(list(COUNTRIES)), draw.choice(ATTRIBUTES)
        before = f"({persona(draw, country, attribute)}) "
        prompt = before + question(draw, task, country, attribute, YOURS)
    elif kind < 0.8:
        prompt = question(draw, task, country, attribute, country)
    else:
        country = DEFAULT if draw.random() < 0.5 else country
        prompt = question(draw, task, country, attribute, YOURS)
    return prompt, FACTS[country, attribute]


def demo_questions(held):
    """Rows of the demo's TSV: for each task all held-out pairs, and as many that were trained."""
    draw = random.Random(2)
    trained = [pair for pair in itertools.product(COUNTRIES, ATTRIBUTES)
               if pair not in held and pair[0] != DEFAULT]
    rows = []
    for task in TASKS:
        for split, pairs in (("trained", draw.sample(trained, len(held))), ("held-out", sorted(held))):
            for n, (country, attribute) in enumerate(pairs):
                rows.append({"id": f"{task}-{split}-{n + 1:02d}", "task": task,
                             "persona": persona(draw, country, attribute),
                             "prompt": question(draw, task, country, attribute, YOURS),
                             "gold": FACTS[country, attribute], "split": split, "country": country,
                             "attribute": attribute})
    return rows
