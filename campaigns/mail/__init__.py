"""Mail out and events in.

`templates` (three files become a mail), `links` (unsubscribe tokens), `ses` (send),
`sqs` (hear), and `local_ses`, the embedded stand-in that speaks the same protocols.
"""
