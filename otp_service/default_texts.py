"""The built-in texts, by purpose and locale; `GENERIC` serves every purpose that has none of its own.

Latin ones keep to GSM-7 letters (no á, í, ó, ú, ê, ã, ç) and are short enough for one UCS-2 part beside a 【signature】
of eleven characters, since any locale may have to go by a Chinese channel.
"""

from __future__ import annotations

from collections.abc import Mapping

GENERIC = "generic"

DEFAULT_TEXTS: Mapping[str, Mapping[str, str]] = {
    "login": {
        "zh-CN": "您的验证码是{{ code }}，{{ minutes }}分钟内有效，请勿告知他人。",
        "zh-TW": "您的驗證碼是{{ code }}，{{ minutes }}分鐘內有效，請勿告知他人。",
        "en": "{{ code }} is your login code, valid {{ minutes }} min. Don't share.",
        "ja": "ログイン認証コードは{{ code }}です。{{ minutes }}分間有効です。他人に教えないでください。",
        "ko": "로그인 인증번호는 {{ code }}입니다. {{ minutes }}분 안에 입력하고 타인에게 알리지 마세요.",
        "es": "{{ code }} es tu clave de acceso, {{ minutes }} min. No la compartas.",
        "fr": "{{ code }} : code de connexion, {{ minutes }} min. Ne pas partager.",
        "de": "{{ code }} ist Ihr Login-Code, {{ minutes }} Min. gültig. Nicht teilen.",
        "pt-BR": "{{ code }} para entrar, vale {{ minutes }} min. Nunca compartilhe.",
    },
    "signup": {
        "zh-CN": "您的注册验证码是{{ code }}，{{ minutes }}分钟内有效，请勿告知他人。",
        "zh-TW": "您的註冊驗證碼是{{ code }}，{{ minutes }}分鐘內有效，請勿告知他人。",
        "en": "{{ code }} is your sign-up code, valid {{ minutes }} min. Don't share.",
        "ja": "登録用の認証コードは{{ code }}です。{{ minutes }}分間有効です。他人に教えないでください。",
        "ko": "회원가입 인증번호는 {{ code }}입니다. {{ minutes }}분 안에 입력하고 타인에게 알리지 마세요.",
        "es": "{{ code }} es tu clave de alta, {{ minutes }} min. No la compartas.",
        "fr": "{{ code }} : code d'inscription, {{ minutes }} min. Ne pas partager.",
        "de": "{{ code }} ist Ihr Anmeldecode, {{ minutes }} Min. gültig. Nicht teilen.",
        "pt-BR": "{{ code }} para o cadastro, vale {{ minutes }} min. Nunca compartilhe.",
    },
    "password_reset": {
        "zh-CN": "您的验证码是{{ code }}，用于重置密码，{{ minutes }}分钟内有效，请勿告知他人。",
        "zh-TW": "您的驗證碼是{{ code }}，用於重設密碼，{{ minutes }}分鐘內有效，請勿告知他人。",
        "en": "{{ code }} resets your password, valid {{ minutes }} min. Don't share.",
        "ja": "パスワード再設定の認証コードは{{ code }}です。{{ minutes }}分間有効です。他人に教えないでください。",
        "ko": "비밀번호 재설정 인증번호는 {{ code }}입니다. {{ minutes }}분 안에 입력하고 알리지 마세요.",
        "es": "{{ code }} cambia tu contraseña, {{ minutes }} min. No lo compartas.",
        "fr": "{{ code }} : nouveau mot de passe, {{ minutes }} min. Ne pas partager.",
        "de": "{{ code }}: neues Passwort, {{ minutes }} Min. gültig. Nicht teilen.",
        "pt-BR": "{{ code }} para a nova senha, vale {{ minutes }} min. Nunca compartilhe.",
    },
    GENERIC: {
        "zh-CN": "您的验证码是{{ code }}，{{ minutes }}分钟内有效，请勿告知他人。",
        "zh-TW": "您的驗證碼是{{ code }}，{{ minutes }}分鐘內有效，請勿告知他人。",
        "en": "{{ code }} is your code, valid {{ minutes }} min. Don't share.",
        "ja": "認証コードは{{ code }}です。{{ minutes }}分間有効です。他人に教えないでください。",
        "ko": "인증번호는 {{ code }}입니다. {{ minutes }}분 안에 입력하고 타인에게 알리지 마세요.",
        "es": "{{ code }} es tu clave, {{ minutes }} min. No la compartas.",
        "fr": "{{ code }} est votre code, {{ minutes }} min. Ne pas partager.",
        "de": "{{ code }} ist Ihr Code, {{ minutes }} Min. gültig. Nicht teilen.",
        "pt-BR": "{{ code }} vale {{ minutes }} min. Nunca compartilhe.",
    },
}
