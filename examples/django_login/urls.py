"""The example's pages."""

from django.contrib.auth.decorators import login_required
from django.urls import path
from django.views.generic import TemplateView
from views import enter_code, enter_number

urlpatterns = [
    path("", login_required(TemplateView.as_view(template_name="home.html")), name="home"),
    path("login", enter_number, name="login"),
    path("login/code", enter_code, name="code"),
]
