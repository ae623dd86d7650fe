// A token endpoint in Express over Passport and oauth2orize, imported, and asked over HTTP.
import assert from 'node:assert/strict'
import express from 'express'
import oauth2orize from 'oauth2orize'
import passport from 'passport'
import {
  createAssertionVerifier,
  createClientCredentialsExchange,
  createTokenEndpoint,
  createTokens,
  Strategy,
} from 'passport-client-assertion-jwt'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { createTestClient } from 'passport-client-assertion-jwt/testing'
import { serve } from './serve.mjs'

await serve({
  ...{ assert, express, oauth2orize, passport, createAssertionVerifier, createTokens, createTokenEndpoint },
  ...{ createClientCredentialsExchange, createMemoryStores, Strategy, createTestClient },
})
