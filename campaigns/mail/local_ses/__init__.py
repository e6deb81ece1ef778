"""A local stand-in for Amazon SES and the queue its events arrive in.

Speaks the SES v2 and SQS protocols on loopback: boto3 cannot tell the difference. Every
mail it takes is kept as a readable .eml file; nothing leaves this machine. `outbox`
(what is kept), `events` (what SES would say), `app` (the protocols), `server`.
"""
