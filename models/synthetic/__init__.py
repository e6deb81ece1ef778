"""A seeded SaaS company, to try everything on before real data is at hand.

Its product is an onboarding wizard with connectors to Slack, Salesforce and a data
warehouse, a compliance checklist, and an API. Accounts sign up, work in one of several
patterns, and most leave; some come back by themselves, ever fewer the longer they were
away, and mails bring back some more, by a known effect. Nothing here is real.

`patterns` (how accounts behave), `company` (their history), `life` (what happens day by
day once mails go out, and the truth that a report can be held against).
"""

from models.synthetic.company import Company, make_company
from models.synthetic.life import Life, Mail

__all__ = ["Company", "Life", "Mail", "make_company"]
