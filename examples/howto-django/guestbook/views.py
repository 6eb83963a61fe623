from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from guestbook.models import Entry


def guestbook(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        Entry.objects.create(text=request.POST["text"][:200])
        return redirect("/")
    return render(request, "guestbook.html", {"entries": Entry.objects.order_by("-id")[:20]})
