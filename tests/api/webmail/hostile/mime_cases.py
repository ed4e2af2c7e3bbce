"""Hostile mails that are not HTML alone: types that lie, names that mislead."""

from email.message import EmailMessage, MIMEPart

from tests.api.webmail.hostile.html_cases import EVIL_HOST

HTML = "<html><body><script>top.pwned('%s')</script><img src=x onerror=\"top.pwned('%s')\"></html>"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload=\"top.pwned('%s')\"><script>%s</script></svg>"
XML = (
    "<?xml version='1.0'?><?xml-stylesheet href='#x' type='text/xsl'?>"
    "<html xmlns='http://www.w3.org/1999/xhtml'><script>top.pwned('%s')</script><p>%s</p></html>"
)
FILES = {  # content type: name and content
    "image/png": ("picture.png", HTML),
    "image/jpeg; name=x.html": ("x.html", HTML),
    "image/gif": ("both.gif", "GIF89a=1;/*" + HTML),
    "image/svg+xml": ("drawing.svg", SVG),
    "text/html": ("page.html", HTML),
    "text/html; charset=utf-7": ("seven.html", "+ADw-script+AD4-top.pwned('%s')//%s"),
    "application/xhtml+xml": ("page.xhtml", XML),
    "text/xml": ("page.xml", XML),
    "text/plain": ("page.txt", HTML),
    "application/pdf": ("page.pdf", "%%PDF-1.4\n" + HTML),
    "application/javascript": ("code.js", "top.pwned('%s') // %s"),
    "multipart/x-mixed-replace": ("mixed.bin", "--x\r\nContent-Type: text/html\r\n\r\n" + HTML),
    "application/x-unknown": ("page.htm", HTML),
}
MISLEADING_NAMES = {  # From: what must not be shown of it
    "service@bank.example": "",
    "\u202emoc.elpmaxe.knab\u202c": "\u202e",
    "\u0420\u0430\u0443\u0430l": "",  # Cyrillic and one Latin character
    "B\u200bank \u2066x\u2069": "\u2066",
    "Z" + "\u0310" * 3_000: "",
    "<script>top.pwned('name')</script>": "",
}
MISLEADING_FILE = "invoice\u202efdp.exe"


def html_mail(html: str, *, subject: str, root: str = "", sender: str = "Mallory") -> EmailMessage:
    """A mail with an HTML body; mails with the same `root` are one conversation."""
    mail = EmailMessage()
    mail["From"] = f'"{sender}" <mallory@{EVIL_HOST}>'
    mail["To"] = "alice@postriver.test"
    mail["Subject"] = subject
    if root:
        mail["References"] = f"<{root}@{EVIL_HOST}>"
    mail.set_content(html, subtype="html", cte="base64")
    return mail


def mail_of_lying_files(disposition: str = "inline") -> bytes:
    """A mail whose HTML displays each of FILES as an image; file `n` is attachment `n`."""
    images = "".join(f"<img src='cid:{number}@x'>" for number in range(len(FILES)))
    mail = html_mail(f"<p>Pictures</p>{images}", subject="lying files")
    mail.make_related()
    for number, (type_, (name, content)) in enumerate(FILES.items()):
        part = MIMEPart()
        part.add_header("Content-Type", type_)
        part["Content-ID"] = f"<{number}@x>"
        part["Content-Transfer-Encoding"] = "8bit"
        part["Content-Disposition"] = f'{disposition}; filename="{name}"'
        part.set_payload(content % (type_, type_))
        mail.attach(part)
    return mail.as_bytes()


def mail_with_misleading_file() -> bytes:
    mail = html_mail("<p>Your invoice</p>", subject="misleading file")
    mail.add_attachment(
        b"MZ", maintype="application", subtype="octet-stream", filename=MISLEADING_FILE
    )
    return mail.as_bytes()
