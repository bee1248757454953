"""The example's pages."""

from django.contrib.auth.decorators import login_required
from django.urls import path
from django.views.generic import TemplateView
from views import step

urlpatterns = [
    path("", login_required(TemplateView.as_view(template_name="home.html")), name="home"),
    path("login", step, {"page": "number.html"}, name="login"),
    path("login/code", step, {"page": "code.html"}, name="code"),
]
